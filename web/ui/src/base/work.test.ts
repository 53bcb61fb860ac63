import { expect, test } from 'vitest';
import { asking, others, whyNot } from './work';

const device = { online: true, state: 'ok', frozen: false };

test('a machine that is offline says so once', () => {
  const refused = 'press-3 is offline since 13:40';
  expect(whyNot({ device: { ...device, online: false }, refused })).toBe('opens when it is online');
  expect(whyNot({ device: { ...device, online: false, frozen: true }, refused: 'Frozen by its owner' })).toBe('Frozen by its owner');
  expect(whyNot({ device, refused: 'locked' })).toBe('locked');
  expect(whyNot({ device })).toBe('');
});

test('a request has a length and other terms', () => {
  expect(asking([{ open: ['reason, one shift lead, up to 4 h'] }, { open: ['reason', 'up to 4 h'] }])).toEqual({ most: 'up to 4 h', wants: 'reason, one shift lead' });
  expect(asking([{}])).toEqual({ most: '', wants: '' });
});

test('the login one is on is not another', () => {
  expect(others([{ login: 'svc' }, { login: 'root' }, {}], 'svc')).toEqual([{ login: 'root' }]);
});
