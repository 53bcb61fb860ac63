import { expect, test } from 'vitest';
import { keyRows, keyText, sealedText, type Typed } from './keys';

const typed = (text: string, at = 0, step = 0.1): Typed[] => (text.match(/\^[\w?[\]\\@]|./g) ?? []).map((c, i) => ({ at: at + i * step, ch: 0, offset: i, bytes: 1, sealed: false, text: c }));
const sealed = (n: number, at: number): Typed => ({ at, ch: 0, offset: 0, bytes: n, sealed: true });

test('keys become a row for each line that was entered', () => {
  const rows = keyRows([...typed('sudo -i^M'), ...typed('ls^M', 3)]);
  expect(rows.map((r) => [r.text, r.entered])).toEqual([
    ['sudo -i', true],
    ['ls', true],
  ]);
});

test('sealed keys have a row of their own with their count and no text', () => {
  const rows = keyRows([...typed('sudo -i^M'), sealed(6, 2), sealed(8, 2.2), ...typed('id^M', 4)]);
  expect(rows.map((r) => [r.sealed, r.text, r.keys])).toEqual([
    [false, 'sudo -i', 8],
    [true, '', 14],
    [false, 'id', 3],
  ]);
  expect(sealedText(14)).toBe('sealed, 14 keys');
  expect(sealedText(1)).toBe('sealed, 1 key');
});

test('text that a sealed stretch should not have is never shown', () => {
  expect(keyRows([{ ...sealed(3, 0), text: 'abc' }])[0]!.text).toBe('');
});

test('a paste of several lines is several rows, without its brackets', () => {
  const rows = keyRows([{ at: 1, ch: 0, offset: 0, bytes: 20, sealed: false, text: '^[[200~one^Mtwo^[[201~' }]);
  expect(rows.map((r) => [r.text, r.entered])).toEqual([
    ['one', true],
    ['two', false],
  ]);
});

test('a long pause begins a new row', () => {
  expect(keyRows([...typed('ab'), ...typed('cd', 30)]).map((r) => r.text)).toEqual(['ab', 'cd']);
});

test('what is typed on two channels at once are rows of each', () => {
  const on = (ch: number, text: string, at: number): Typed[] => typed(text, at).map((t) => ({ ...t, ch }));
  const mixed = [...on(1, 'ls -l^M', 0), ...on(2, 'yes^M', 0.05)].sort((a, b) => a.at - b.at);
  expect(keyRows(mixed).map((r) => [r.ch, r.text, r.entered])).toEqual([
    [1, 'ls -l', true],
    [2, 'yes', true],
  ]);
});

test('keys without a letter have a sign', () => {
  expect(keyText('ab^?^[[A^I^C')).toBe('ab⌫↑⇥^C');
});
