import { expect, test } from 'vitest';
import type { Me } from '../api/types';
import { deviceShown, endedText, places, recordShown, stateShown } from './session';

const me = (...roles: string[]) => ({ roles }) as unknown as Me;

test('the first place is the one a role comes for', () => {
  const first = (m: Me) => places(m)[0]!.text;
  expect(first(me('technician'))).toBe('My work');
  expect(first(me('officer'))).toBe('Review');
  expect(first(me('admin'))).toBe('Machines');
  expect(first(me('owner'))).toBe('My machines');
  expect(first(me('approver'))).toBe('Inbox');
  expect(first(me())).toBe('My work');
});

test('a gap is shown as a gap and what is sealed as sealed', () => {
  const r = (record: string, more = {}) => recordShown({ record, gaps: 0, hidden: 0, state: 'closed', ...more });
  expect(r('complete')).toEqual({ shape: 'ok', text: 'Complete' });
  expect(r('complete', { hidden: 2 })).toEqual({ shape: 'sealed', text: 'Complete, 2 sealed' });
  expect(r('gap', { gaps: 2 })).toEqual({ shape: 'warn', text: '2 gaps' });
  expect(r('missing').shape).toBe('bad');
  expect(r('empty', { state: 'refused' }).text).toBe('Not started');
});

test('only what is recorded now has the disc', () => {
  expect(stateShown({ state: 'live', reason: '' }).shape).toBe('rec');
  for (const state of ['asked', 'announced', 'held', 'ended', 'closed', 'refused']) expect(stateShown({ state, reason: '' }).shape).not.toBe('rec');
});

test('reasons of an end are sentences, also ones not known here', () => {
  expect(endedText('device lost')).toBe('Ended: the line to the machine broke');
  expect(endedText('locked')).toBe('Ended: the machine was locked or revoked');
  expect(endedText('ended by T. Nowak')).toBe('Ended by T. Nowak');
});

test('a machine shows the worst that is true of it', () => {
  const d = (more = {}) => deviceShown({ state: 'ok', online: true, ...more }, () => '11:40').text;
  expect(d()).toBe('Online');
  expect(d({ online: false, last_seen: 'x' })).toBe('Offline since 11:40');
  expect(d({ frozen: true })).toBe('Frozen by owner');
  expect(d({ state: 'disputed' })).toBe('Disputed: two lines, one key');
});
