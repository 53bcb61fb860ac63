// Every pair of text and ground that the style sheets make, in both themes: at least 4.5 for text, 3 for the edges of
// controls and for shapes. Colours live in tokens.css only.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const styles = join(import.meta.dirname, '../styles');
const tokens = readFileSync(join(styles, 'tokens.css'), 'utf8');

function value(name: string, theme: 0 | 1): string {
  const m = new RegExp(`--${name}: (light-dark\\((#\\w+), (#\\w+)\\)|(#\\w+))`).exec(tokens);
  if (!m) throw new Error(`no token --${name}`);
  return m[4] ?? m[2 + theme]!;
}

function luminance(hex: string): number {
  const c = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * c[0]! + 0.7152 * c[1]! + 0.0722 * c[2]!;
}

function contrast(a: string, b: string): number {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x! + 0.05) / (y! + 0.05);
}

const grounds = ['desk', 'surface', 'raised', 'sunken', 'selected'];
const text: [string, string[]][] = [
  ['ink', [...grounds, 'danger-soft', 'warn-soft', 'ok-soft', 'sealed-soft', 'mark']],
  ['ink-2', grounds],
  ['muted', grounds],
  ['accent', grounds],
  ['danger', ['desk', 'surface', 'raised', 'sunken', 'selected', 'danger-soft']],
  ['warn', ['desk', 'surface', 'raised', 'selected', 'warn-soft']],
  ['sealed', ['desk', 'surface', 'raised', 'selected', 'sealed-soft']],
  ['on-accent', ['accent', 'accent-hover']],
  ['strip-ink', ['strip', 'term', 'strip-line']],
  ['strip-muted', ['strip']],
  ['term-yellow', ['strip', 'term']],
  ['term-blue', ['strip', 'term']],
  ...['term-ink', 'term-dim', 'term-green', 'term-red', 'term-sealed'].map((t): [string, string[]] => [t, ['term']]),
];
const shapes: [string, string[]][] = [
  ['line-strong', ['desk', 'surface', 'raised']],
  ['recorded', ['desk', 'surface', 'raised', 'selected']],
  ['ok', ['desk', 'surface', 'raised']],
  ['strip-recorded', ['strip']],
  ['accent', ['desk', 'surface']],
];

const pairs = (list: [string, string[]][], least: number) => list.flatMap(([fg, bgs]) => bgs.flatMap((bg) => ([0, 1] as const).map((theme) => ({ fg, bg, theme, least }))));

test.each([...pairs(text, 4.5), ...pairs(shapes, 3)])('$fg on $bg, theme $theme', ({ fg, bg, theme, least }) => {
  expect(contrast(value(fg, theme), value(bg, theme))).toBeGreaterThanOrEqual(least);
});

test('no style sheet but the tokens names a colour', () => {
  for (const file of readdirSync(styles)) {
    if (file === 'tokens.css') continue;
    const found = /#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(/i.exec(readFileSync(join(styles, file), 'utf8'));
    expect(found?.[0], file).toBeUndefined();
  }
});

test('every token that a style sheet uses is there', () => {
  const all = readdirSync(styles).map((f) => readFileSync(join(styles, f), 'utf8')).join('\n');
  const set = new Set([...all.matchAll(/(?<![\w-])(--[\w-]+):/g)].map((m) => m[1]));
  for (const [, name] of all.matchAll(/var\((--[\w-]+)/g)) expect(set.has(name!), name).toBe(true);
});
