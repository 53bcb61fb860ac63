import { expect, test } from 'vitest';
import { asked, checkShape } from './checks';

const check = (level: string, name: string, text: string, ok = true) => ({ level, name, text, ok });

test('a check is asked in words', () => {
  expect(asked(check('log', 'open leaf', 'leaf 1 is in the log'))).toBe('Announced in the log before it began');
});
test('each rule of the verifier about a whole record has words', () => {
  expect(asked(check('B', 'channel', '3 channels, each started before anything of it'))).toBe('Each channel starts before its bytes');
});
test('two things that one rule checks are told apart', () => {
  expect(asked(check('A', 'head', "h[0] is the one that the log's open leaf commits to"))).not.toBe(asked(check('A', 'head', 'the chain ends where the log says')));
  expect(asked(check('B', 'reveal', '14 bytes of input hidden, in 1 ranges'))).toContain('hidden prompts');
});
test('a rule without words keeps its name', () => {
  expect(asked(check('C', 'seal', 'x'))).toBe('seal');
});
test('what is not there is not proven', () => {
  expect(checkShape(check('A', 'statement', 'no device statement in it'))).toBe('none');
  expect(checkShape(check('A', 'statement', 'broken', false))).toBe('bad');
  expect(checkShape(check('A', 'chunk', '5 chunks'))).toBe('ok');
});
