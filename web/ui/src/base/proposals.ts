// Words for changes that wait for a second administrator.
import type { Proposal } from '../api/types';

type Gain = NonNullable<Proposal['gains']>[number];

/** Whether a refusal says that a change has become a proposal. */
export const waitsForAnother = (p: { status: number; hint?: string }) => p.status === 409 && !!p.hint?.includes('proposals confirm');

export function proposalTitle(p: Pick<Proposal, 'kind' | 'subject'>): string {
  if (p.kind === 'policy') return 'A new version of the policy';
  if (p.kind === 'groups') return 'New group mappings';
  return p.kind === 'labels' ? `Site or labels of ${p.subject}` : `Owners of the site ${p.subject}`;
}

/** Where a gain holds: the machines by name while they are few. */
export function gainWhere(g: Pick<Gain, 'devices' | 'more' | 'where'>): string {
  const names = g.devices ?? [];
  const total = names.length + (g.more ?? 0);
  if (!total) return g.where ? `machines that may come: ${g.where}` : 'everywhere';
  return total > 4 ? `${total} machines: ${names.slice(0, 3).join(', ')} and others` : names.join(', ');
}
