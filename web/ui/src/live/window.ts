// Input that waits for the gateway's window. The gateway takes at most 256 KiB of input that it has not acknowledged,
// and closes a page that sends more, so the rest of a long paste waits here.

/** Bytes that may be sent before the first ack. */
export const windowSize = 256 << 10;
/** Bytes of one message; well under what the gateway takes. */
export const messageSize = 32 << 10;

export class Window {
  private left = windowSize;
  private waiting: Uint8Array[] = [];

  /** send gets one message at a time: the stream's number 0, then the bytes. */
  constructor(private send: (message: Uint8Array<ArrayBuffer>) => void) {}

  /** Sends bytes, now or when the window has room for them. */
  type(all: Uint8Array) {
    if (all.length > 0) this.waiting.push(all);
    this.flush();
  }

  /** Returns bytes to the window. */
  ack(bytes: number) {
    this.left += bytes;
    this.flush();
  }

  private flush() {
    while (this.left > 0 && this.waiting.length > 0) {
      const first = this.waiting[0]!;
      const piece = first.subarray(0, Math.min(messageSize, this.left));
      if (piece.length === first.length) this.waiting.shift();
      else this.waiting[0] = first.subarray(piece.length);
      this.left -= piece.length;
      const message = new Uint8Array(piece.length + 1);
      message.set(piece, 1); // stream 0: typed
      this.send(message);
    }
  }
}
