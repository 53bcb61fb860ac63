// The transcript beside the player: everything in a lane is a row here, in order of time.
import type { Session, Timeline } from '../api/types';
import { named, several } from './channels';
import { keyRows, sealedText, type KeyRow } from './keys';
import { endedText, isRunning } from './session';
import { lengthText } from './time';
import { commandLine } from './words';

export interface Row {
  at: number;
  kind: 'typed' | 'sealed' | 'command' | 'note' | 'refused' | 'differs' | 'gap' | 'idle';
  text: string;
  right?: string;
  bad?: boolean;
  ch?: number; // only where it has to be named
}

/** How long nothing must have been typed to be worth a row. */
const idleRow = 60;

export function scriptRows(t: Timeline, s: Pick<Session, 'user' | 'device' | 'login' | 'state' | 'reason' | 'exit_status'>): Row[] {
  const rows: Row[] = [{ at: 0, kind: 'note', text: `Began: ${s.user} on ${s.device} as ${s.login}.` }];
  for (const k of keyRows(t.input)) {
    const ch = named(t, k.ch);
    if (k.sealed) rows.push({ at: k.at, kind: 'sealed', text: 'Typed at a hidden prompt', right: sealedText(k.keys), ch });
    else if (!commandOf(k, t)) rows.push({ at: k.at, kind: 'typed', text: k.text === '' ? '⏎' : k.text, ch });
  }
  for (const c of t.commands) {
    const bad = (c.status ?? 0) !== 0 || !!c.signal;
    rows.push({ at: c.at, kind: 'command', text: commandLine(c.argv), right: c.signal ? c.signal : c.status === undefined ? '' : bad ? `exit ${c.status}` : '0', bad, ch: named(t, c.ch) });
  }
  // How a channel ended stands beside its command.
  for (const n of t.notes) if (n.kind !== 'exit' || !hasCommand(t, n.ch)) rows.push({ at: n.at, kind: n.kind === 'refused' || n.kind === 'differs' ? n.kind : 'note', text: n.text, ch: named(t, n.ch) });
  for (const g of t.gaps) rows.push({ at: g.at, kind: 'gap', text: g.text });
  for (const i of t.idle) if (i.to - i.from >= idleRow) rows.push({ at: i.from, kind: 'idle', text: `Nothing happened for ${lengthText((i.to - i.from) * 1000)}` });
  rows.sort((a, b) => a.at - b.at);
  if (!isRunning(s)) rows.push({ at: t.duration, kind: 'note', text: endText(s) });
  return rows;
}

/** Whether the device said what ran on a channel; of a record with one, whether it said what ran. */
const hasCommand = (t: Timeline, ch: number | undefined) => t.commands.some((c) => !several(t) || c.ch === ch);

/** The command that a typed line became stands for it. */
const commandOf = (k: KeyRow, t: Timeline) => k.entered && t.commands.some((c) => (!several(t) || c.ch === k.ch) && c.at >= k.till && c.at < k.till + 5 && commandLine(c.argv) === k.text.trim());

function endText(s: Pick<Session, 'reason' | 'exit_status'>): string {
  const status = s.exit_status === undefined ? '' : ` with exit status ${s.exit_status}`;
  return `${endedText(s.reason)}${s.reason === 'exit' ? status : ''}.`;
}

/** The row that a time belongs to. */
export function rowAt(rows: { at: number }[], at: number): number {
  let i = -1;
  while (i + 1 < rows.length && rows[i + 1]!.at <= at + 0.05) i++;
  return i;
}
