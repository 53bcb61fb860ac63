// The channels of a record. Its replay, text and asciicast are of one of them; with more than one, each says which.
import type { Channel, Timeline } from '../api/types';
import { clockTime } from './time';
import { bytes } from './words';

/** With which a session begins. */
export const firstChannel = 1;

type Listed = Pick<Timeline, 'channels'>;

export const channelsOf = (t: Listed): Channel[] => t.channels ?? [];

/** Whether a reader has to be told which channel something is of. */
export const several = (t: Listed) => channelsOf(t).length > 1;

/** The channel that is shown: the one asked for, or the first where the record has none of that number. */
export const shownChannel = (t: Listed, asked: number | undefined) => (channelsOf(t).some((c) => c.ch === asked) ? asked! : firstChannel);

/** The number of a row's channel where it has to be named. A device can name channels that the gateway never opened. */
export const named = (t: Listed, ch: number | undefined) => (ch && (several(t) || (t.channels && !t.channels.some((c) => c.ch === ch))) ? ch : undefined);

/** The parameter of an address that chooses a channel; none where there is no choice. */
export const channelQuery = (t: Listed, ch: number): { channel?: number } => (several(t) ? { channel: ch } : {});

/** An address with what of the parameters has a value. */
export function address(path: string, query: Record<string, number | undefined>): string {
  const all = Object.entries(query).filter(([, v]) => v !== undefined);
  return all.length ? `${path}?${all.map(([k, v]) => `${k}=${v}`).join('&')}` : path;
}

/** a shell, or the command line. */
export const programShown = (c: Channel) => (c.program === 'shell' ? 'a shell' : (c.command ?? ''));

const longest = 60;

/** 2: uptime */
export function channelOption(c: Channel): string {
  const what = [...programShown(c)];
  const short = what.length > longest ? what.slice(0, longest).join('') + '…' : what.join('');
  return short ? `${c.ch}: ${short}` : `${c.ch}`;
}

/** How it ended, in words; nothing where the record has no end. */
function endShown(c: Channel): string {
  if (c.signal) return `ended by signal ${c.signal}`;
  return c.status === undefined ? '' : `exit status ${c.status}`;
}

/** What is known of a channel beside what it showed. */
export function channelFacts(c: Channel, started: Date, running: boolean): string {
  const clock = (s: number) => clockTime(new Date(+started + s * 1000));
  const time = c.ended !== undefined ? `${clock(c.began)} to ${clock(c.ended)}` : `from ${clock(c.began)}`;
  const end = c.ended !== undefined ? endShown(c) : running ? '' : 'its end is not in the record';
  return [c.terminal ? 'terminal' : 'no terminal', c.login && `as ${c.login}`, time, end, `${bytes(c.bytes_out)} shown`].filter(Boolean).join(' · ');
}

/** The stretches that a player of a channel may skip: in which nothing happened on it. */
export const idleOf = (t: Pick<Timeline, 'channels' | 'idle'>, ch: number) => (several(t) ? (channelsOf(t).find((c) => c.ch === ch)?.idle ?? []) : t.idle);

/** Where the player of a channel stands when it is chosen: where one was, if the channel was open then, else at its beginning. */
export function standsAt(t: Listed, ch: number, at: number): number {
  const c = channelsOf(t).find((x) => x.ch === ch);
  return !c || (at >= c.began && at <= (c.ended ?? Infinity)) ? at : c.began;
}
