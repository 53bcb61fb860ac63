import { expect, test } from 'vitest';
import { messageSize, Window, windowSize } from './window';

function recorded() {
  const sent: Uint8Array[] = [];
  const w = new Window((m) => sent.push(m));
  return { w, sent, bytes: () => sent.flatMap((m) => Array.from(m.subarray(1))) };
}

test('keys are sent at once, behind the number of their stream', () => {
  const { w, sent } = recorded();
  w.type(new Uint8Array([104, 105]));
  expect(sent).toEqual([new Uint8Array([0, 104, 105])]);
});

test('a long paste keeps exactly to the window and arrives whole and in order', () => {
  const { w, sent, bytes } = recorded();
  const paste = new Uint8Array(windowSize * 2 + 5).map((_, i) => i % 251);
  w.type(paste);
  w.type(new Uint8Array([255]));
  expect(bytes().length).toBe(windowSize);
  expect(Math.max(...sent.map((m) => m.length))).toBe(messageSize + 1);
  w.ack(3);
  expect(bytes().length).toBe(windowSize + 3);
  while (bytes().length < paste.length + 1) w.ack(65536);
  expect(bytes()).toEqual([...paste, 255]);
});
