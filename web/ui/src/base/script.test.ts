import { expect, test } from 'vitest';
import type { Timeline } from '../api/types';
import { rowAt, scriptRows } from './script';

const base: Timeline = { duration: 100, active: 50, started: '2025-11-23T22:41:07Z', cols: 80, rows: 24, input: [], commands: [], notes: [], gaps: [], idle: [], whole: true };
const session = { user: 'Oleg Marin', device: 'press-7', login: 'svc', state: 'closed', reason: 'exit', exit_status: 0 };

test('everything in a lane is a row, in order of time', () => {
  const rows = scriptRows(
    {
      ...base,
      input: [{ at: 2, ch: 0, offset: 0, bytes: 1, sealed: false, text: 'q' }, { at: 9, ch: 0, offset: 1, bytes: 14, sealed: true }],
      commands: [{ at: 5, ch: 0, source: 'exec', argv: ['ls', '-l'], status: 2 }],
      notes: [{ at: 7, kind: 'refused', text: 'Write /etc/hosts' }],
      gaps: [{ at: 60, kind: 'gap', text: 'Line lost' }],
      idle: [{ from: 10, to: 15 }, { from: 20, to: 90 }],
    },
    session,
  );
  expect(rows.map((r) => r.kind)).toEqual(['note', 'typed', 'command', 'refused', 'sealed', 'idle', 'gap', 'note']);
  expect(rows.find((r) => r.kind === 'command')).toMatchObject({ right: 'exit 2', bad: true });
  expect(rows.find((r) => r.kind === 'sealed')!.right).toBe('sealed, 14 keys');
  expect(rows.find((r) => r.kind === 'idle')!.text).toBe('Nothing happened for 1 min');
  expect(rows.at(-1)!.text).toBe('The program ended with exit status 0.');
});

test('a session that runs has no end yet', () => expect(scriptRows(base, { ...session, state: 'live', reason: '' })).toHaveLength(1));

test('a typed line that became a command is one row, another one stays', () => {
  const keys = (text: string, at: number) => [{ at, ch: 0, offset: 0, bytes: text.length + 1, sealed: false, text: text + '^M' }];
  const rows = scriptRows({ ...base, input: [...keys('id', 1), ...keys('cd /tmp', 20)], commands: [{ at: 1.2, ch: 0, source: 'exec', argv: ['id'], status: 0 }] }, session);
  expect(rows.map((r) => [r.kind, r.text]).slice(1, -1)).toEqual([
    ['command', 'id'],
    ['typed', 'cd /tmp'],
  ]);
});

test('with more than one channel, each row that is of one names it', () => {
  const channel = (ch: number) => ({ ch, terminal: true, began: 0, bytes_out: 0 });
  const t: Timeline = {
    ...base,
    input: [{ at: 2, ch: 1, offset: 0, bytes: 1, sealed: false, text: 'q' }, { at: 3, ch: 2, offset: 0, bytes: 3, sealed: false, text: 'id^M' }, { at: 9, ch: 2, offset: 3, bytes: 14, sealed: true }],
    commands: [{ at: 5, ch: 1, source: 'exec', argv: ['id'], status: 0 }],
    notes: [{ at: 6, kind: 'exit', text: 'channel 1 ended with status 0', ch: 1 }, { at: 7, kind: 'exit', text: 'channel 2 ended with status 1', ch: 2 }, { at: 8, kind: 'marker', text: 'look here' }],
    gaps: [{ at: 60, kind: 'gap', text: 'Line lost' }],
  };
  const rows = (channels: Timeline['channels']) => scriptRows({ ...t, channels }, session).map((r) => [r.text, r.ch]);
  expect(rows([channel(1), channel(2)])).toEqual([
    ['Began: Oleg Marin on press-7 as svc.', undefined],
    ['q', 1],
    ['id', 2],
    ['id', 1],
    ['channel 2 ended with status 1', 2],
    ['look here', undefined],
    ['Typed at a hidden prompt', 2],
    ['Line lost', undefined],
    ['The program ended with exit status 0.', undefined],
  ]);
  expect(scriptRows({ ...t, input: [], channels: [channel(1)] }, session).every((r) => r.ch === undefined || r.ch === 2)).toBe(true);
  expect(scriptRows(t, session).every((r) => r.ch === undefined)).toBe(true);
});

test('a time belongs to the last row before it', () => {
  const rows = [{ at: 0 }, { at: 5 }, { at: 9 }];
  expect([rowAt(rows, 0), rowAt(rows, 4.9), rowAt(rows, 5), rowAt(rows, 100), rowAt([], 3)]).toEqual([0, 0, 1, 2, -1]);
});
