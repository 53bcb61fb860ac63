// What pages say of a request.
import type { Request } from '../api/types';
import { lengthText } from './time';
import type { Shown } from './session';

/** The state as a shape and a word. */
export function requestShown(q: Pick<Request, 'state'> & Partial<Pick<Request, 'emergency' | 'review'>>): Shown {
  const plain = plainShown(q);
  if (!q.emergency || !q.review) return plain;
  if (q.review.at) return { ...plain, text: `emergency, ${plain.text}, reviewed` };
  return q.review.overdue ? { shape: 'bad', text: 'emergency, review overdue' } : { shape: 'wait', text: 'emergency, not reviewed' };
}

function plainShown(q: Pick<Request, 'state'>): Shown {
  switch (q.state) {
    case 'pending':
      return { shape: 'wait', text: 'pending' };
    case 'approved':
      return { shape: 'ok', text: 'approved' };
    case 'used':
      return { shape: 'ok', text: 'approved and used' };
    case 'denied':
      return { shape: 'bad', text: 'denied' };
    case 'expired':
      return { shape: 'ended', text: 'expired' };
  }
  return { shape: 'ended', text: q.state };
}

/** Who must still agree: "1 of shift-leads and the owner". */
export function missing(needs: { from: string; count: number; have: number }[]): string {
  const left = needs.filter((n) => n.have < n.count).map((n) => (n.from === '@owner' ? (n.count - n.have === 1 ? 'the owner' : `${n.count - n.have} owners`) : `${n.count - n.have} of ${n.from}`));
  return left.length > 1 ? `${left.slice(0, -1).join(', ')} and ${left.at(-1)}` : (left[0] ?? '');
}

/** A number of minutes as people say it. */
export const minutesText = (n: number) => lengthText(n * 60_000);

/** Lengths to choose from, at most so many minutes, with the most itself. */
export function lengths(most: number): number[] {
  const usual = [15, 30, 60, 120, 240, 480, 1440].filter((n) => n < most);
  return [...usual.slice(0, 4), most];
}
