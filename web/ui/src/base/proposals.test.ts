import { describe, expect, test } from 'vitest';
import { gainWhere, proposalTitle } from './proposals';

describe('proposals', () => {
  test('are named by what they change', () => {
    expect(proposalTitle({ kind: 'policy', subject: '' })).toBe('A new version of the policy');
    expect(proposalTitle({ kind: 'labels', subject: 'press-1' })).toBe('Site or labels of press-1');
    expect(proposalTitle({ kind: 'owners', subject: 'ulm' })).toBe('Owners of the site ulm');
  });
  test('name a few machines, and count many', () => {
    expect(gainWhere({})).toBe('everywhere');
    expect(gainWhere({ where: 'hall=3' })).toBe('machines that may come: hall=3');
    expect(gainWhere({ devices: ['a', 'b'] })).toBe('a, b');
    expect(gainWhere({ devices: ['a', 'b', 'c', 'd'], more: 996 })).toBe('1000 machines: a, b, c and others');
  });
});
