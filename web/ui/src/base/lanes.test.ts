import { expect, test } from 'vitest';
import { axis, laneHeight, laneRects, lanesOf, width, type LaneData } from './lanes';

const none: LaneData = { duration: 100, input: [], commands: [], notes: [], gaps: [], idle: [] };

test('nothing happened is no rectangle', () => expect(laneRects(none)).toEqual([]));

test('everything stays on the field, also what is later than the end', () => {
  const rects = laneRects({ ...none, commands: [{ at: 0 }, { at: 100 }, { at: 400 }], gaps: [{ at: 99.9 }], idle: [{ from: 50, to: 100 }], input: [{ at: 100, ch: 0, offset: 0, bytes: 9, sealed: false }] });
  for (const r of rects) {
    expect(r.x).toBeGreaterThanOrEqual(0);
    expect(r.x).toBeLessThanOrEqual(width - 4);
    expect(r.y + r.h).toBeLessThanOrEqual(4 * laneHeight);
  }
});

test('a failed command is taller and of another colour than one that did not fail', () => {
  const [fine, failed, killed] = laneRects({ ...none, commands: [{ at: 1, status: 0 }, { at: 2, status: 1 }, { at: 3, signal: 'KILL' }] });
  expect([fine!.kind, failed!.kind, killed!.kind]).toEqual(['cmd', 'bad', 'bad']);
  expect(failed!.h).toBeGreaterThan(fine!.h);
});

test('sealed keys are of their own colour, and more keys are higher', () => {
  const key = (at: number, bytes: number, sealed = false) => ({ at, ch: 0, offset: 0, bytes, sealed });
  const rects = laneRects({ ...none, input: [key(1, 1), key(50, 20), key(80, 14, true)] });
  const [few, many, seal] = rects;
  expect(rects.map((r) => r.kind)).toEqual(['in', 'in', 'seal']);
  expect(many!.h).toBeGreaterThan(few!.h);
  expect(seal!.x).toBeGreaterThan(many!.x);
});

const channel = (ch: number, began = 0, ended?: number) => ({ ch, terminal: true, began, ended, bytes_out: 1200 });

test('with one channel, input and commands have a lane each', () => {
  const names = (d: LaneData) => lanesOf(d).map((l) => l.name);
  expect(names(none)).toEqual(['Input', 'Commands', 'Refused', 'Gaps']);
  expect(names({ ...none, channels: [channel(1)] })).toEqual(['Input', 'Commands', 'Refused', 'Gaps']);
});

test('with more than one, each has a lane with all that is of it, and how long it was open', () => {
  const key = (ch: number) => ({ at: 10, ch, offset: 0, bytes: 1, sealed: false });
  const d = { ...none, channels: [channel(1), channel(2, 50, 75)], input: [key(1), key(2)], commands: [{ at: 50, ch: 2 }, { at: 51, ch: 77 }], notes: [{ at: 1, kind: 'refused' }] };
  expect(lanesOf(d).map((l) => [l.name, l.number])).toEqual([['Channel 1', '1.2 KB'], ['Channel 2', '1.2 KB'], ['Other channels', ''], ['Refused', '1'], ['Gaps', '0']]);
  const rects = laneRects(d).map((r) => [Math.floor(r.y / laneHeight), r.kind]);
  expect(rects).toEqual([[0, 'open'], [0, 'in'], [1, 'open'], [1, 'in'], [1, 'cmd'], [2, 'cmd'], [3, 'bad']]);
  const [, , second] = laneRects(d);
  expect(second).toMatchObject({ x: 498, w: 249 });
});

test('many channels share a lane', () => {
  const channels = Array.from({ length: 20 }, (_, i) => channel(i + 1));
  const lanes = lanesOf({ ...none, channels });
  expect(lanes.map((l) => l.name).slice(6)).toEqual(['Channel 7', 'Other channels', 'Refused', 'Gaps']);
  expect(lanes[7]!.open).toHaveLength(13);
});

test('a recording of no length has a picture', () => expect(laneRects({ ...none, duration: 0, commands: [{ at: 0 }] })).toHaveLength(1));

test('the axis has no clock time twice', () => {
  expect(axis(0.4)).toEqual([0]);
  expect(axis(2.5)).toEqual([0, 1.25, 2.5]);
  expect(axis(100)).toEqual([0, 20, 40, 60, 80, 100]);
});
