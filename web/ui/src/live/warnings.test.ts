import { expect, test } from 'vitest';
import { warningBetween } from './warnings';

const until = 10_000_000_000;
const left = (minutes: number) => until - minutes * 60_000;

test('a notice comes once, at 15, 5 and 1 minute', () => {
  const given: number[] = [];
  for (let t = left(20); t < until + 5000; t += 1000) {
    const w = warningBetween(t - 1000, t, until);
    if (w) given.push(w.minutes);
  }
  expect(given).toEqual([15, 5, 1]);
});

test('a laptop that slept gets the most urgent one only', () => {
  expect(warningBetween(left(20), left(0.5), until)?.minutes).toBe(1);
  expect(warningBetween(left(20), until + 1, until)).toBeUndefined();
});
