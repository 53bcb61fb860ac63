import { expect, test } from 'vitest';
import { lengths, missing, requestShown } from './requests';

test('who is missing is said in words', () => {
  expect(missing([{ from: 'shift-leads', count: 1, have: 0 }])).toBe('1 of shift-leads');
  expect(missing([{ from: 'shift-leads', count: 2, have: 1 }, { from: '@owner', count: 1, have: 0 }])).toBe('1 of shift-leads and the owner');
  expect(missing([{ from: 'a', count: 1, have: 0 }, { from: 'b', count: 1, have: 0 }, { from: 'c', count: 1, have: 0 }])).toBe('1 of a, 1 of b and 1 of c');
  expect(missing([{ from: 'shift-leads', count: 1, have: 1 }])).toBe('');
});

test('lengths end with the longest that can be asked for', () => {
  expect(lengths(240)).toEqual([15, 30, 60, 120, 240]);
  expect(lengths(10)).toEqual([10]);
  expect(lengths(30)).toEqual([15, 30]);
  expect(lengths(10_080)).toEqual([15, 30, 60, 120, 10_080]);
});

test('every state has a shape and a word', () => {
  for (const state of ['pending', 'approved', 'used', 'denied', 'withdrawn', 'expired']) {
    const shown = requestShown({ state });
    expect(shown.shape && shown.text).toBeTruthy();
  }
});
