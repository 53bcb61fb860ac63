// The terminal socket: one session, from its ticket to its end. The first message redeems the ticket; then binary
// messages carry bytes, the first of them naming the stream, and text messages carry control.

export interface Control {
  t: 'ready' | 'notice' | 'exit' | 'error' | 'resize' | 'eof' | 'signal' | 'end';
  session?: string;
  until?: string;
  kind?: string;
  text?: string;
  hint?: string;
  reason?: string;
  status?: number;
  signal?: string;
  cols?: number;
  rows?: number;
}

export interface Watcher {
  control(c: Control): void;
  output(bytes: Uint8Array): void;
  /** The socket is gone. Clean means that an exit or error was told before. */
  closed(clean: boolean): void;
}

const subprotocol = 'sallyport.terminal.v1';
/** Well under what the gateway takes in one message. */
const most = 32 << 10;

export class Line {
  private socket: WebSocket;
  private clean = false;
  private encoder = new TextEncoder();

  constructor(path: string, ticket: string, watcher: Watcher) {
    const at = new URL(path, location.href);
    at.protocol = at.protocol === 'https:' ? 'wss:' : 'ws:';
    this.socket = new WebSocket(at, subprotocol);
    this.socket.binaryType = 'arraybuffer';
    this.socket.onopen = () => this.socket.send(JSON.stringify({ ticket }));
    this.socket.onmessage = (m: MessageEvent<string | ArrayBuffer>) => {
      if (typeof m.data !== 'string') {
        watcher.output(new Uint8Array(m.data, 1));
        return;
      }
      const c = JSON.parse(m.data) as Control;
      if (c.t === 'exit' || c.t === 'error') this.clean = true;
      watcher.control(c);
    };
    this.socket.onclose = () => watcher.closed(this.clean);
  }

  /** Typed or pasted text, as UTF-8. */
  type(text: string) {
    this.bytes(this.encoder.encode(text));
  }

  /** Bytes as they are: mouse reports are not UTF-8. */
  bytes(all: Uint8Array) {
    for (let at = 0; at < all.length; at += most) {
      const piece = all.subarray(at, at + most);
      const message = new Uint8Array(piece.length + 1);
      message.set(piece, 1); // stream 0: typed
      this.send(message);
    }
  }

  resize(cols: number, rows: number) {
    this.control({ t: 'resize', cols, rows });
  }

  end() {
    this.control({ t: 'end' });
  }

  /** Leaves without a word; the gateway ends the session. */
  close() {
    this.socket.close();
  }

  private control(c: Control) {
    this.send(JSON.stringify(c));
  }

  private send(message: string | Uint8Array<ArrayBuffer>) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(message);
  }
}
