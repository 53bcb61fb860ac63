// One more channel in a session of the page, without any of the web app's own code: as docs/protocol.md, section 15, has it.

/** Opens a channel for a command on the page, and gives what tells of it and types on it. */
export async function openChannel(page, session, argv) {
  await page.evaluate(open, { session, argv });
  return {
    seen: () => page.evaluate(() => ({ out: channel.out, err: channel.err, last: channel.last })),
    type: (text) => page.evaluate((t) => channel.socket.send(new Uint8Array([0, ...new TextEncoder().encode(t)])), text),
    say: (control) => page.evaluate((c) => channel.socket.send(JSON.stringify(c)), control),
  };
}

/** Runs on the page, and returns once the command runs. */
async function open({ session, argv }) {
  const answer = await fetch(`/api/v1/sessions/${session}/channels`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ argv }) });
  const ticket = await answer.json();
  if (!answer.ok) throw new Error(`${answer.status}: ${ticket.detail}`);
  const socket = new WebSocket(ticket.socket, 'sallyport.terminal.v2');
  const channel = (globalThis.channel = { socket, out: '', err: '', last: undefined });
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => socket.send(JSON.stringify({ ticket: ticket.ticket }));
  const text = [new TextDecoder(), new TextDecoder()];
  await new Promise((runs, fails) => {
    socket.onclose = () => fails(new Error(`the socket closed; last was ${JSON.stringify(channel.last)}`));
    socket.onmessage = ({ data }) => {
      if (typeof data === 'string') {
        channel.last = JSON.parse(data);
        if (channel.last.t === 'ready') runs();
        return;
      }
      const [stream, ...bytes] = new Uint8Array(data);
      channel[stream === 1 ? 'out' : 'err'] += text[stream - 1].decode(new Uint8Array(bytes), { stream: true });
    };
  });
}
