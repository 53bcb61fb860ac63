// A title for each check of a record. The verifier's own names of its rules are for outsiders.
import type { Shape } from './session';

export interface Check {
  level: string;
  name: string;
  text: string;
  ok: boolean;
  not_yet?: boolean;
}

// One rule may check several things, so the text of the result chooses the title.
const words: [level: string, name: string, found: RegExp, asked: string][] = [
  ['row', 'row', /./, 'This page agrees with the evidence'],
  ['log', 'open leaf', /./, 'Announced in the log before it began'],
  ['A', 'trust', /./, 'Its keys are signed by the root'],
  ['A', 'checkpoint', /./, 'The log is signed'],
  ['A', 'leaf', /announced/, 'Announced in the log before it began'],
  ['A', 'leaf', /./, 'Other entries about it in the log'],
  ['A', 'pass', /moment/, 'A pass was valid at each moment'],
  ['A', 'pass', /./, 'Permitted by a signed pass'],
  ['A', 'asker', /./, 'Who signed in, and how'],
  ['A', 'end', /./, 'Its end is in the log'],
  ['A', 'slot', /./, 'Its key files are those that were announced'],
  ['B', 'slot', /./, 'Opened with the reading key'],
  ['C', 'slot', /./, 'Typed at hidden prompts, closed to you'],
  ['A', 'policy', /./, 'The policy that permitted it'],
  ['A', 'history', /./, 'No entry about it was left out'],
  ['A', 'chunk', /./, 'No byte is missing or changed'],
  ['A', 'head', /h\[0\]/, 'It is the record that was announced'],
  ['A', 'head', /progress/, 'It matches the progress entries in the log'],
  ['A', 'head', /./, 'It ends where the log says'],
  ['A', 'signature', /./, 'Closed and signed'],
  ['A', 'statement', /./, 'Signed by the device'],
  ['B', 'frame', /./, 'Decrypted and well formed'],
  ['B', 'channel', /./, 'Each channel starts before its bytes'],
  ['B', 'reveal', /hidden/, 'Typed at hidden prompts, closed to you'],
  ['B', 'reveal', /./, 'Typed in the open'],
  ['B', 'totals', /./, 'Gaps'],
];

/** The title of a check, or the name of its rule if there is no title. */
export const asked = (c: Check): string => words.find(([level, name, found]) => c.level === level && c.name === name && found.test(c.text))?.[3] ?? c.name;

/** A statement that is absent, or a check that cannot be made yet, is neither proven nor a fault. */
export const checkShape = (c: Check): Shape => (c.not_yet ? 'wait' : !c.ok ? 'bad' : c.name === 'statement' && /no device statement/.test(c.text) ? 'none' : 'ok');
