import { expect, test } from 'vitest';
import { pageCount, pageOf, pastEnd, rowsText, turned } from './pages';

test('an address names a page, or else the first', () => {
  expect(['3', null, '', 'x', '0', '-2', '1.5', '1e9'].map(pageOf)).toEqual([3, 1, 1, 1, 1, 1, 1, 100_000]);
});

test('a list has a last page', () => {
  expect([0, 1, 25, 26].map((n) => pageCount(n, 25))).toEqual([1, 1, 1, 2]);
});

test('pages are turned within the list', () => {
  expect(turned(1, 1, 60, 25)).toBe(2);
  expect(turned(3, 1, 60, 25)).toBeUndefined();
  expect(turned(1, -1, 60, 25)).toBeUndefined();
  expect(turned(99, -1, 60, 25)).toBe(3);
});

test('a page says which rows it shows', () => {
  expect(rowsText(3, 10, 60, 25)).toBe('51 to 60 of 60');
});

test('a page past the end says how many there are', () => {
  expect(pastEnd(3, 60, 25, 'session')).toBeUndefined();
  expect(pastEnd(1, 0, 25, 'session')).toBeUndefined();
  expect(pastEnd(99, 60, 25, 'session')).toEqual({ title: 'There is no page 99.', text: '60 sessions on 3 pages.' });
  expect(pastEnd(2, 1, 25, 'session')).toEqual({ title: 'There is no page 2.', text: '1 session on 1 page.' });
});
