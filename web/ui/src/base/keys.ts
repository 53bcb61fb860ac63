// Typed keys as a record shows them. The API gives control characters as ^X, one stretch for what arrived together; here
// they become rows: one for each line that was entered, one for each sealed stretch.

export interface Typed {
  at: number;
  ch: number;
  offset: number;
  bytes: number;
  sealed: boolean;
  text?: string;
}

export interface KeyRow {
  at: number;
  ch: number;
  till: number;
  keys: number;
  sealed: boolean;
  text: string;
  entered: boolean; // ended with Enter
}

/** A pause that makes a new row. */
const pause = 5;

/** Named keys for what reads badly as ^X. */
const names: [RegExp, string][] = [
  [/\^\[\[A/g, '↑'],
  [/\^\[\[B/g, '↓'],
  [/\^\[\[C/g, '→'],
  [/\^\[\[D/g, '←'],
  [/\^\[\[200~|\^\[\[201~/g, ''], // a paste's brackets
  [/\^I/g, '⇥'],
  [/\^\?/g, '⌫'],
];

export function keyText(text: string): string {
  for (const [from, to] of names) text = text.replace(from, to);
  return text;
}

/** sealed, 14 keys */
export const sealedText = (keys: number) => `sealed, ${keys} ${keys === 1 ? 'key' : 'keys'}`;

/** The rows of all channels, in order of time. What is typed on one does not go on in a row of another. */
export function keyRows(input: Typed[]): KeyRow[] {
  const channels = new Map<number, Typed[]>();
  for (const t of input) {
    const own = channels.get(t.ch);
    if (own) own.push(t);
    else channels.set(t.ch, [t]);
  }
  return [...channels.values()].flatMap(rowsOfOne).sort((a, b) => a.at - b.at);
}

function rowsOfOne(input: Typed[]): KeyRow[] {
  const rows: KeyRow[] = [];
  let open: KeyRow | undefined;
  let last = 0;
  const close = () => {
    if (open && (open.text !== '' || open.sealed || open.entered)) rows.push(open);
    open = undefined;
  };
  for (const t of input) {
    if (open && (open.sealed !== t.sealed || t.at - last > pause)) close();
    last = t.at;
    if (open) open.till = t.at;
    if (t.sealed) {
      open ??= { at: t.at, ch: t.ch, till: t.at, keys: 0, sealed: true, text: '', entered: false };
      open.keys += t.bytes;
      continue;
    }
    // ^M and ^J end a row; a stretch that was pasted may hold several.
    for (const piece of (t.text ?? '').split(/(\^M\^J|\^M|\^J)/)) {
      if (piece === '') continue;
      open ??= { at: t.at, ch: t.ch, till: t.at, keys: 0, sealed: false, text: '', entered: false };
      if (/^\^[MJ]/.test(piece)) {
        open.entered = true;
        open.keys++;
        close();
      } else {
        const shown = keyText(piece);
        open.text += shown;
        open.keys += [...shown].length;
      }
    }
  }
  close();
  return rows;
}
