import { expect, test } from 'vitest';
import { found, split } from './found';

test('every second piece is a hit, whatever its letters are', () => {
  expect(split('an Apple, an apple', 'APPLE')).toEqual(['an ', 'Apple', ', an ', 'apple', '']);
  expect(split('nothing', 'apple')).toEqual(['nothing']);
  expect(split('aaa', 'aa')).toEqual(['', 'aa', 'a']);
});

test('hits are counted', () => expect([found('an Apple, an apple', 'apple'), found('aaaa', 'aa'), found('a', ''), found('', 'a')]).toEqual([2, 2, 0, 0]));
