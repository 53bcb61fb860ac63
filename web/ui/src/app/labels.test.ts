import { expect, test } from 'vitest';
import { labelChange, labelText, parseLabels } from './labels';

test('labels are read and written', () => {
  expect(parseLabels(' kind=press  maker=nord,site=a=b ')).toEqual({ kind: 'press', maker: 'nord', site: 'a=b' });
  expect(labelText({ kind: 'press', maker: 'nord' })).toBe('kind=press maker=nord');
  expect(() => parseLabels('press')).toThrow('is no label');
});

test('a label that is gone is sent as empty, which removes it', () => {
  expect(labelChange({ kind: 'press', maker: 'nord' }, { kind: 'till' })).toEqual({ kind: 'till', maker: '' });
});
