// Times as people read them: relative up to a week, then the date; in a record, clock times only.

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

const two = (n: number) => String(n).padStart(2, '0');

/** 14:33 */
export const hourMinute = (t: Date) => `${two(t.getHours())}:${two(t.getMinutes())}`;

/** 14:33:18 */
export const clockTime = (t: Date) => `${hourMinute(t)}:${two(t.getSeconds())}`;

/** 2025-11-24 */
export const isoDate = (t: Date) => `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const weekdays = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

/** The zone as people name it: CET, GMT+2. */
export function zone(t: Date): string {
  const parts = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' }).formatToParts(t);
  return parts.find((p) => p.type === 'timeZoneName')?.value ?? 'UTC';
}

/** 2025-11-23 22:41:07 CET, for titles. */
export const exact = (t: Date) => `${isoDate(t)} ${clockTime(t)} ${zone(t)}`;

function daysBetween(a: Date, b: Date): number {
  const at = (t: Date) => Date.UTC(t.getFullYear(), t.getMonth(), t.getDate());
  return Math.round((at(b) - at(a)) / day);
}

/** The day as people say it: today, yesterday, Fri, 20 Nov, 20 Nov 2024. */
export function dayText(t: Date, now: Date): string {
  const ago = daysBetween(t, now);
  if (ago === 0) return 'today';
  if (ago === 1) return 'yesterday';
  if (ago === -1) return 'tomorrow';
  if (ago > 1 && ago < 7) return weekdays[t.getDay()]!;
  const text = `${t.getDate()} ${months[t.getMonth()]}`;
  return t.getFullYear() === now.getFullYear() ? text : `${text} ${t.getFullYear()}`;
}

/** today 13:20, yesterday 22:41, Fri 13:15, 20 Nov 08:44. */
export const dayAndTime = (t: Date, now: Date) => `${dayText(t, now)} ${hourMinute(t)}`;

/** 13:20 when it is today, else with its day. */
export const sinceText = (t: Date, now: Date) => (daysBetween(t, now) === 0 ? hourMinute(t) : dayAndTime(t, now));

/** 2 min ago, 41 min ago, today 10:02. */
export function agoText(t: Date, now: Date): string {
  const ms = now.getTime() - t.getTime();
  if (ms < minute) return 'just now';
  if (ms < hour) return `${Math.floor(ms / minute)} min ago`;
  return dayAndTime(t, now);
}

/** How long something took, or is: 4 s, 38 min, 1 h 12 min, 3 days. */
export function lengthText(ms: number): string {
  if (ms <= 0) return '0 s';
  if (ms < 1000) return 'under 1 s';
  if (ms < minute) return `${Math.floor(ms / 1000)} s`;
  if (ms < hour) return `${Math.floor(ms / minute)} min`;
  if (ms < 2 * day) {
    const m = Math.floor((ms % hour) / minute);
    return `${Math.floor(ms / hour)} h${m ? ` ${two(m)} min` : ''}`;
  }
  return `${Math.floor(ms / day)} days`;
}

/** What counts down: 41:52, 1:08:03. */
export function countdown(ms: number): string {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const h = Math.floor(s / 3600);
  const m = Math.floor((s % 3600) / 60);
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

/** A place in a recording: 0:07, 17:39, 1:02:03. */
export function position(seconds: number): string {
  return countdown(Math.floor(Math.max(0, seconds)) * 1000);
}

/** 17 minutes 39 seconds, for those who hear it. */
export function spoken(seconds: number): string {
  const s = Math.floor(Math.max(0, seconds));
  const part = (n: number, word: string) => (n ? `${n} ${word}${n === 1 ? '' : 's'}` : '');
  const text = [part(Math.floor(s / 3600), 'hour'), part(Math.floor((s % 3600) / 60), 'minute'), part(s % 60, 'second')].filter(Boolean).join(' ');
  return text || '0 seconds';
}

/** Until when a right is good: "42 min left" within the hour, "until 19:00 today". */
export function untilText(t: Date, now: Date): string {
  const left = t.getTime() - now.getTime();
  if (left <= 0) return 'over';
  if (left < hour) return `${Math.max(1, Math.floor(left / minute))} min left`;
  if (left < 12 * hour) return `${lengthText(left)} left`;
  return `${hourMinute(t)} ${dayText(t, now)}`;
}
