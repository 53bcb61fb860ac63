// Words and shapes for sessions, records and machines.
import type { Device, Me, Session } from '../api/types';
import { count, plural } from './words';

export type Shape = 'rec' | 'on' | 'off' | 'wait' | 'ok' | 'warn' | 'bad' | 'high' | 'sealed' | 'ended' | 'none';

export interface Shown {
  shape: Shape;
  text: string;
}

const opening = ['asked', 'decided', 'announced', 'dialled'];

export const isLive = (s: Pick<Session, 'state'>) => s.state === 'live' || s.state === 'held';
export const isRunning = (s: Pick<Session, 'state'>) => isLive(s) || opening.includes(s.state);

export function stateShown(s: Pick<Session, 'state' | 'reason'>): Shown {
  if (s.state === 'live') return { shape: 'rec', text: 'Being recorded' };
  if (s.state === 'held') return { shape: 'wait', text: 'Held by the machine' };
  if (s.state === 'refused') return { shape: 'bad', text: 'Refused' };
  if (opening.includes(s.state)) return { shape: 'wait', text: 'Being opened' };
  return { shape: 'ended', text: endedText(s.reason) };
}

/** Why a session ended, as a sentence without its full stop. */
export function endedText(reason: string): string {
  switch (reason) {
    case '':
      return 'Ended';
    case 'exit':
      return 'The program ended';
    case 'technician':
      return 'Ended by the technician';
    case 'idle':
      return 'Ended: nothing was typed';
    case 'grant ended':
      return 'Ended with the grant';
    case 'withdrawn':
      return 'Ended: the right was withdrawn';
    case 'locked':
      return 'Ended: the machine was locked or revoked';
    case 'owner froze':
      return 'Frozen by the owner';
    case "owner's rules":
      return 'Ended by the owner’s rules';
    case 'device ended':
      return 'Ended by the machine';
    case 'recorder failed':
      return 'Ended: it could not be recorded';
    case 'recorded too much':
      return 'Ended: more was shown than may be recorded';
    case 'database failed':
      return 'Ended: the gateway’s database did not answer';
    case 'device lost':
      return 'Ended: the line to the machine broke';
    case 'drain':
      return 'Ended: the gateway went down';
    case 'gateway crashed':
      return 'Ended: the gateway crashed';
    case 'signed out':
      return 'Ended: the sign-in ended';
  }
  return reason.charAt(0).toUpperCase() + reason.slice(1);
}

export function recordShown(s: Pick<Session, 'record' | 'gaps' | 'hidden' | 'state'>): Shown {
  switch (s.record) {
    case 'recording':
      return { shape: 'rec', text: 'Being recorded' };
    case 'gap':
      return { shape: 'warn', text: plural(Math.max(1, s.gaps), 'gap') };
    case 'cut':
      return { shape: 'warn', text: 'Cut by a crash' };
    case 'missing':
      return { shape: 'bad', text: 'Missing' };
    case 'complete':
      return s.hidden > 0 ? { shape: 'sealed', text: `Complete, ${count(s.hidden)} sealed` } : { shape: 'ok', text: 'Complete' };
  }
  return { shape: 'none', text: s.state === 'refused' ? 'Not started' : 'None' };
}

export function deviceShown(d: Pick<Device, 'state' | 'online' | 'frozen' | 'last_seen'>, since: (t: string) => string): Shown {
  switch (d.state) {
    case 'waiting':
      return { shape: 'wait', text: 'Waiting to be admitted' };
    case 'revoked':
      return { shape: 'bad', text: 'Revoked' };
    case 'disputed':
      return { shape: 'bad', text: 'Disputed: two lines, one key' };
    case 'locked':
      return { shape: 'warn', text: 'Locked' };
  }
  if (d.frozen) return { shape: 'bad', text: 'Frozen by owner' };
  if (d.online) return { shape: 'on', text: 'Online' };
  return { shape: 'off', text: d.last_seen ? `Offline since ${since(d.last_seen)}` : 'Never online' };
}

/** What needs somebody to look at it, of a fleet. */
export const needsLook = (d: Device) => d.state === 'disputed' || d.state === 'locked' || !!d.frozen || (d.state === 'ok' && !d.online) || (d.problems?.length ?? 0) > 0;

export interface Place {
  href: string;
  text: string;
  key: string; // after g
}

const has = (me: Me, role: string) => me.roles.includes(role);

/** The places of somebody, first the one they come for. */
export function places(me: Me): Place[] {
  const machines = { href: '/machines', text: has(me, 'owner') && me.roles.length === 1 ? 'My machines' : 'Machines', key: 'm' };
  const review = { href: '/sessions', text: 'Review', key: 'r' };
  const all = { href: '/sessions', text: 'Sessions', key: 'r' };
  const mine = { href: '/sessions', text: 'My sessions', key: 'r' };
  const work = { href: '/', text: 'My work', key: 'w' };
  const inbox = { href: '/requests', text: 'Inbox', key: 'i' };
  const requests = { href: '/requests', text: 'Requests', key: 'i' };
  if (has(me, 'officer')) return [review, requests, machines];
  if (has(me, 'admin')) return [machines, requests, all];
  if (has(me, 'owner')) return [machines, requests, all];
  if (has(me, 'approver')) return [inbox, work, all, machines];
  return [work, requests, mine, machines];
}

export const roleWord = (me: Me) => (has(me, 'admin') ? 'administrator' : me.roles[0]) ?? 'no role';
