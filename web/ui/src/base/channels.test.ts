import { expect, test } from 'vitest';
import type { Channel } from '../api/types';
import { address, channelFacts, channelOption, channelQuery, idleOf, named, several, shownChannel, standsAt } from './channels';

const shell: Channel = { ch: 1, program: 'shell', login: 'svc', terminal: true, began: 0, ended: 90, status: 3, bytes_out: 88_213 };
const command: Channel = { ch: 2, program: 'command', command: 'a shell', login: 'svc', terminal: false, began: 40, ended: 50, signal: 'TERM', bytes_out: 12, idle: [{ from: 0, to: 40 }] };
const two = { channels: [shell, command], idle: [{ from: 60, to: 70 }] };
const one = { channels: [shell], idle: two.idle };
const old = { channels: undefined, idle: two.idle };

test('one channel is not a choice, nor is a record whose gateway lists none', () => {
  expect([several(two), several(one), several(old)]).toEqual([true, false, false]);
  expect([channelQuery(two, 2), channelQuery(two, 1), channelQuery(one, 1), channelQuery(old, 1)]).toEqual([{ channel: 2 }, { channel: 1 }, {}, {}]);
  expect([named(two, 1), named(one, 1), named(old, 1), named(two, undefined), named(two, 0)]).toEqual([1, undefined, undefined, undefined, undefined]);
});

test('a channel that only the device speaks of is named', () => expect(named(one, 77)).toBe(77));

test('a channel that the record does not have is not shown', () => expect([shownChannel(two, 2), shownChannel(two, 9), shownChannel(two, undefined), shownChannel(one, 2), shownChannel(old, 2)]).toEqual([2, 1, 1, 1, 1]));

test('an option says what was started', () => {
  expect(channelOption(shell)).toBe('1: a shell');
  expect(channelOption({ ...command, command: 'x'.repeat(80) })).toBe(`2: ${'x'.repeat(60)}…`);
  expect(channelOption({ ch: 3, terminal: false, began: 0, bytes_out: 0 })).toBe('3');
});

test('the facts of a channel', () => {
  const started = new Date(2025, 10, 23, 22, 41, 7);
  expect(channelFacts(shell, started, false)).toBe('terminal · as svc · 22:41:07 to 22:42:37 · exit status 3 · 88 KB shown');
  expect(channelFacts(command, started, false)).toBe('no terminal · as svc · 22:41:47 to 22:41:57 · ended by signal TERM · 12 bytes shown');
  const open = { ...shell, ended: undefined, status: undefined, login: undefined };
  expect(channelFacts(open, started, true)).toBe('terminal · from 22:41:07 · 88 KB shown');
  expect(channelFacts(open, started, false)).toBe('terminal · from 22:41:07 · its end is not in the record · 88 KB shown');
});

test('a player skips what is idle on its channel', () => {
  expect(idleOf(two, 2)).toEqual([{ from: 0, to: 40 }]);
  expect(idleOf(two, 1)).toEqual([]);
  expect(idleOf(one, 1)).toEqual(one.idle);
  expect(idleOf(old, 1)).toEqual(old.idle);
});

test('a channel that is chosen is shown where one was, if it was open then', () => {
  expect([standsAt(two, 2, 10), standsAt(two, 2, 45), standsAt(two, 2, 60), standsAt(two, 1, 60), standsAt(old, 1, 60)]).toEqual([40, 45, 40, 60, 60]);
});

test('an address has the parameters that have a value', () => {
  expect(address('/a', {})).toBe('/a');
  expect(address('/a', { version: 2, channel: undefined })).toBe('/a?version=2');
  expect(address('/a', { version: 2, channel: 1 })).toBe('/a?version=2&channel=1');
});
