import { expect, test } from 'vitest';
import { axis, height, laneRects, width, type LaneData } from './lanes';

const none: LaneData = { duration: 100, input: [], commands: [], notes: [], gaps: [], idle: [] };

test('nothing happened is no rectangle', () => expect(laneRects(none)).toEqual([]));

test('everything stays on the field, also what is later than the end', () => {
  const rects = laneRects({ ...none, commands: [{ at: 0 }, { at: 100 }, { at: 400 }], gaps: [{ at: 99.9 }], idle: [{ from: 50, to: 100 }], input: [{ at: 100, ch: 0, offset: 0, bytes: 9, sealed: false }] });
  for (const r of rects) {
    expect(r.x).toBeGreaterThanOrEqual(0);
    expect(r.x).toBeLessThanOrEqual(width - 4);
    expect(r.y + r.h).toBeLessThanOrEqual(height);
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

test('a recording of no length has a picture', () => expect(laneRects({ ...none, duration: 0, commands: [{ at: 0 }] })).toHaveLength(1));

test('the axis has no clock time twice', () => {
  expect(axis(0.4)).toEqual([0]);
  expect(axis(2.5)).toEqual([0, 1.25, 2.5]);
  expect(axis(100)).toEqual([0, 20, 40, 60, 80, 100]);
});
