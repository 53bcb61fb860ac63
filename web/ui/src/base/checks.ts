// The checks of a record, in the words of those who ask. The verifier names its rules; outsiders read them there.
import type { Shape } from './session';

export interface Check {
  level: string;
  name: string;
  text: string;
  ok: boolean;
  not_yet?: boolean;
}

// Rules that check two things are told apart by what they found.
const words: [level: string, name: string, found: RegExp, asked: string][] = [
  ['row', 'row', /./, 'What this page says of it'],
  ['log', 'open leaf', /./, 'Announced in the log before it began'],
  ['A', 'trust', /./, 'Its keys are signed by the root'],
  ['A', 'checkpoint', /./, 'The log is signed'],
  ['A', 'leaf', /announced/, 'Announced in the log before it began'],
  ['A', 'leaf', /./, 'What else the log says of it'],
  ['A', 'pass', /moment/, 'A pass was good at each moment'],
  ['A', 'pass', /./, 'Permitted by a signed pass'],
  ['A', 'asker', /./, 'Who signed in, and how'],
  ['A', 'end', /./, 'Its end is in the log'],
  ['A', 'slot', /./, 'Its keys are those that were announced'],
  ['B', 'slot', /./, 'Its reading key'],
  ['C', 'slot', /./, 'Typed at hidden prompts, closed to you'],
  ['A', 'policy', /./, 'The policy that permitted it'],
  ['A', 'history', /./, 'Nothing of it was left out of the log'],
  ['A', 'chunk', /./, 'Every byte in its place'],
  ['A', 'head', /h\[0\]/, 'It is the record that was announced'],
  ['A', 'head', /progress/, 'It went through what the log noted on the way'],
  ['A', 'head', /./, 'It ends where the log says'],
  ['A', 'signature', /./, 'Closed and signed'],
  ['A', 'statement', /./, 'What the machine signed'],
  ['B', 'frame', /./, 'Opened, and well formed'],
  ['B', 'channel', /./, 'Each channel starts before its bytes'],
  ['B', 'reveal', /hidden/, 'Typed at hidden prompts, closed to you'],
  ['B', 'reveal', /./, 'Typed in the open'],
  ['B', 'totals', /./, 'Gaps'],
];

/** What a check answers; the rule's own name where there are no words for it. */
export const asked = (c: Check): string => words.find(([level, name, found]) => c.level === level && c.name === name && found.test(c.text))?.[3] ?? c.name;

/** What is not there, or not there yet, is neither proven nor broken. */
export const checkShape = (c: Check): Shape => (c.not_yet ? 'wait' : !c.ok ? 'bad' : c.name === 'statement' && /no device statement/.test(c.text) ? 'none' : 'ok');
