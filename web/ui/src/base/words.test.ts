import { expect, test } from 'vitest';
import { bytes, commandLine, count, keyDigits, matches, plural, sentence, pieces } from './words';

test('numbers have units and thousands commas', () => {
  expect(count(48211)).toBe('48,211');
  expect(plural(1, 'session')).toBe('1 session');
  expect(plural(1284, 'session')).toBe('1,284 sessions');
  expect([bytes(0), bytes(999), bytes(1904), bytes(88_213), bytes(1_048_576)]).toEqual(['0 bytes', '999 bytes', '1.9 KB', '88 KB', '1.0 MB']);
});

test('a key shows its first digits in fours', () => expect(keyDigits('SHA256:7f3a91c2e04d5b18x9Qw')).toBe('7f3a 91c2 e04d 5b18'));

test('arguments are quoted where a shell would need it', () => {
  expect(commandLine(['ls', '-l', '/tmp/v.bin'])).toBe('ls -l /tmp/v.bin');
  expect(commandLine(['sh', '-c', "echo 'a b'", ''])).toBe(`sh -c 'echo '\\''a b'\\''' ''`);
});

test('every word of a filter must be somewhere', () => {
  expect(matches('press kassel', 'press-7', 'Brauer, Kassel')).toBe(true);
  expect(matches('press siegen', 'press-7', 'Brauer, Kassel')).toBe(false);
  expect(matches('', 'x', undefined)).toBe(true);
});

test('a detail becomes a sentence', () => {
  expect(sentence('the disk is full')).toBe('The disk is full.');
  expect(sentence('Why?')).toBe('Why?');
  expect(sentence('')).toBe('');
  expect(sentence('press-1 was frozen by its owner')).toBe('press-1 was frozen by its owner.');
});

test('what stands between backticks is code', () => {
  expect(pieces('Run `sallyport login` again.')).toEqual(['Run ', 'sallyport login', ' again.']);
  expect(pieces('no code')).toEqual(['no code']);
  expect(pieces('one ` alone')).toEqual(['one ` alone']);
});
