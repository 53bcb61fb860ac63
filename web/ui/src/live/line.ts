// The terminal socket: one session, from its ticket to its end. The first message redeems the ticket; then binary
// messages carry bytes, the first of them naming the stream, and text messages carry control.
import { Window } from './window';

export interface Control {
  t: 'ready' | 'ack' | 'notice' | 'exit' | 'error' | 'resize' | 'eof' | 'signal' | 'end';
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
  bytes?: number;
}

export interface Watcher {
  control(c: Control): void;
  output(bytes: Uint8Array): void;
  /** The socket is gone. Clean means that an exit or error was told before. */
  closed(clean: boolean): void;
}

const subprotocol = 'sallyport.terminal.v2';

export class Line {
  private socket: WebSocket;
  private clean = false;
  private encoder = new TextEncoder();
  private window = new Window((message) => this.send(message));

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
      if (c.t === 'ack') {
        this.window.ack(c.bytes ?? 0);
        return;
      }
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
    this.window.type(all);
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
