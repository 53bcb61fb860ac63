import { describe, expect, test } from 'vitest';
import { agoText, countdown, dayAndTime, lengthText, position, sinceText, spoken, untilText } from './time';

const at = (s: string) => new Date(s);
const now = at('2025-11-24T14:33:18');

describe('times', () => {
  test.each([
    ['2025-11-24T13:20:00', 'today 13:20'],
    ['2025-11-23T22:41:07', 'yesterday 22:41'],
    ['2025-11-21T13:15:00', 'Fri 13:15'],
    ['2025-11-18T08:44:10', 'Tue 08:44'],
    ['2025-11-17T08:44:10', '17 Nov 08:44'],
    ['2024-11-20T08:44:10', '20 Nov 2024 08:44'],
    ['2025-11-25T00:01:00', 'tomorrow 00:01'],
  ])('are relative up to a week, then the date: %s', (t, want) => expect(dayAndTime(at(t), now)).toBe(want));

  test('of today need no day', () => {
    expect(sinceText(at('2025-11-24T11:40:00'), now)).toBe('11:40');
    expect(sinceText(at('2025-11-23T11:40:00'), now)).toBe('yesterday 11:40');
  });

  test.each([
    [20, 'just now'],
    [120, '2 min ago'],
    [3599, '59 min ago'],
    [3600 * 3, 'today 11:33'],
  ])('%i s ago reads', (s, want) => expect(agoText(new Date(+now - s * 1000), now)).toBe(want));

  test.each([
    [42 * 60, '42 min left'],
    [30, '1 min left'],
    [3600 * 4 + 59 * 60, '4 h 59 min left'],
    [3600 * 20, '10:33 tomorrow'],
    [0, 'over'],
  ])('a right that ends in %i s reads', (s, want) => expect(untilText(new Date(+now + s * 1000), now)).toBe(want));
});

test.each([
  [4000, '4 s'],
  [38 * 60_000, '38 min'],
  [72 * 60_000, '1 h 12 min'],
  [3600_000, '1 h'],
  [3600_000 * 24 * 3, '3 days'],
  [-5, '0 s'],
])('a length of %i ms tells', (ms, want) => expect(lengthText(ms)).toBe(want));

test('what is left counts down to zero and never below', () => {
  expect(countdown(41 * 60_000 + 52_000)).toBe('41:52');
  expect(countdown(500)).toBe('0:01');
  expect(countdown(0)).toBe('0:00');
  expect(countdown(-9000)).toBe('0:00');
  expect(countdown(3600_000 + 8 * 60_000 + 3000)).toBe('1:08:03');
});

test('a place in a recording is read and heard', () => {
  expect(position(1059.9)).toBe('17:39');
  expect(spoken(1059)).toBe('17 minutes 39 seconds');
  expect(spoken(3661)).toBe('1 hour 1 minute 1 second');
  expect(spoken(0)).toBe('0 seconds');
});
