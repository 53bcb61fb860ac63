// The lanes of the player, as rectangles on a field 1000 wide. Pure: the same times give the same picture.
import { several } from './channels';
import type { Typed } from './keys';
import type { Channel } from '../api/types';
import { bytes, count } from './words';

export interface Rect {
  x: number;
  y: number;
  w: number;
  h: number;
  kind: 'in' | 'seal' | 'cmd' | 'bad' | 'gap' | 'idle' | 'open';
}

export interface LaneData {
  duration: number;
  input: Typed[];
  commands: { at: number; ch?: number; status?: number; signal?: string }[];
  notes: { at: number; kind: string }[];
  gaps: { at: number }[];
  idle: { from: number; to: number }[];
  channels?: Channel[];
}

export const laneHeight = 24;
export const width = 1000;

/** A lane, and what of the data is in it. */
export interface Lane {
  name: string;
  number: string;
  input: Typed[];
  commands: LaneData['commands'];
  notes: LaneData['notes'];
  gaps: LaneData['gaps'];
  open: Channel[];
}

/** How many channels have a lane of their own; the others share one. */
const ownLanes = 8;

/** Input and commands have a lane each; with more than one channel, each channel has one, with both. */
export function lanesOf(d: LaneData): Lane[] {
  const lane = (name: string, number: string, of: Partial<Lane>): Lane => ({ name, number, input: [], commands: [], notes: [], gaps: [], open: [], ...of });
  const refused = d.notes.filter((n) => n.kind === 'refused');
  const last = [lane('Refused', count(refused.length), { notes: refused }), lane('Gaps', count(d.gaps.length), { gaps: d.gaps })];
  if (!several(d)) {
    const keys = d.input.reduce((n, i) => n + i.bytes, 0);
    return [lane('Input', count(keys), { input: d.input }), lane('Commands', count(d.commands.length), { commands: d.commands }), ...last];
  }
  const channels = d.channels!;
  const own = channels.length > ownLanes ? channels.slice(0, ownLanes - 1) : channels;
  const rest = channels.slice(own.length);
  const of = (open: Channel[], has: (ch?: number) => boolean) => ({ open, input: d.input.filter((i) => has(i.ch)), commands: d.commands.filter((c) => has(c.ch)) });
  const lanes = own.map((c) => lane(`Channel ${c.ch}`, bytes(c.bytes_out), of([c], (ch) => ch === c.ch)));
  const others = of(rest, (ch) => !own.some((c) => c.ch === ch));
  if (rest.length || others.commands.length) lanes.push(lane('Other channels', rest.length ? bytes(rest.reduce((n, c) => n + c.bytes_out, 0)) : '', others));
  return [...lanes, ...last];
}

const slices = 240;

export function laneRects(d: LaneData, lanes = lanesOf(d)): Rect[] {
  const span = Math.max(d.duration, 0.001);
  const x = (at: number) => round(Math.min(Math.max(at / span, 0), 1) * (width - 4));
  const out: Rect[] = d.idle.map((s) => ({ x: x(s.from), y: 0, w: Math.max(1, round(x(s.to) - x(s.from))), h: laneHeight * lanes.length, kind: 'idle' }));
  lanes.forEach((l, i) => out.push(...inLane(l, span, x).map((r) => ({ ...r, y: r.y + i * laneHeight }))));
  return out;
}

/** The rectangles of a lane, as if it were the first. */
function inLane(l: Lane, span: number, x: (at: number) => number): Rect[] {
  const out: Rect[] = l.open.map((c) => ({ x: x(c.began), y: 21, w: Math.max(4, round(x(c.ended ?? span) - x(c.began))), h: 2, kind: 'open' }));
  out.push(...inputRects(l.input, span, x));
  for (const c of l.commands) {
    const bad = (c.status ?? 0) !== 0 || !!c.signal;
    out.push({ x: x(c.at), y: bad ? 4 : 7, w: 3, h: bad ? 18 : 12, kind: bad ? 'bad' : 'cmd' });
  }
  for (const n of l.notes) out.push({ x: x(n.at), y: 4, w: 4, h: 18, kind: 'bad' });
  for (const g of l.gaps) out.push({ x: x(g.at), y: 4, w: 6, h: 18, kind: 'gap' });
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
