// The lanes of the player, as rectangles on a field 1000 wide. Pure: the same times give the same picture.
import type { Typed } from './keys';

export interface Rect {
  x: number;
  y: number;
  w: number;
  h: number;
  kind: 'in' | 'seal' | 'cmd' | 'bad' | 'gap' | 'idle';
}

export interface LaneData {
  duration: number;
  input: Typed[];
  commands: { at: number; status?: number; signal?: string }[];
  notes: { at: number; kind: string }[];
  gaps: { at: number }[];
  idle: { from: number; to: number }[];
}

export const laneHeight = 24;
export const width = 1000;
export const laneNames = ['Input', 'Commands', 'Refused', 'Gaps'] as const;
export const height = laneHeight * laneNames.length;

const slices = 240;

export function laneRects(d: LaneData): Rect[] {
  const span = Math.max(d.duration, 0.001);
  const x = (at: number) => round(Math.min(Math.max(at / span, 0), 1) * (width - 4));
  const out: Rect[] = d.idle.map((s) => ({ x: x(s.from), y: 0, w: Math.max(1, round(x(s.to) - x(s.from))), h: height, kind: 'idle' }));
  out.push(...inputRects(d.input, span, x));
  for (const c of d.commands) {
    const bad = (c.status ?? 0) !== 0 || !!c.signal;
    out.push({ x: x(c.at), y: laneHeight + (bad ? 4 : 7), w: 3, h: bad ? 18 : 12, kind: bad ? 'bad' : 'cmd' });
  }
  for (const n of d.notes) if (n.kind === 'refused') out.push({ x: x(n.at), y: 2 * laneHeight + 4, w: 4, h: 18, kind: 'bad' });
  for (const g of d.gaps) out.push({ x: x(g.at), y: 3 * laneHeight + 4, w: 6, h: 18, kind: 'gap' });
  return out;
}

/** Height is keys per slice; a slice with sealed keys is of their colour and stands for its count only. */
function inputRects(input: Typed[], span: number, x: (at: number) => number): Rect[] {
  const open = new Map<number, number>();
  const sealed = new Map<number, number>();
  for (const t of input) {
    const slice = Math.min(slices - 1, Math.floor((t.at / span) * slices));
    const of = t.sealed ? sealed : open;
    of.set(slice, (of.get(slice) ?? 0) + t.bytes);
  }
  const most = Math.max(1, ...open.values(), ...sealed.values());
  const rect = (kind: 'in' | 'seal') => ([slice, n]: [number, number]): Rect => {
    const h = round(3 + 15 * Math.sqrt(n / most));
    return { x: x((slice / slices) * span), y: round(22 - h), w: kind === 'seal' ? 6 : 3, h, kind };
  };
  return [...[...open].map(rect('in')), ...[...sealed].map(rect('seal'))];
}

const round = (n: number) => Math.round(n * 10) / 10;

/** Where the axis has its words, in seconds: six at most, from beginning to end, each another second of the clock. */
export function axis(duration: number): number[] {
  const steps = Math.min(5, Math.floor(duration));
  return steps < 1 ? [0] : Array.from({ length: steps + 1 }, (_, i) => (duration * i) / steps);
}
