// Notices before the time of a grant is up: at 15, 5 and 1 minute.
import { hourMinute } from '../base/time';

const minutes = [15, 5, 1];

export interface Warning {
  minutes: number;
  text: string;
}

/** The notice that is due between two looks at the clock; the most urgent one, if a sleeping laptop missed some. */
export function warningBetween(before: number, after: number, until: number): Warning | undefined {
  const due = minutes.filter((m) => before < until - m * 60_000 && after >= until - m * 60_000);
  const m = due[due.length - 1];
  if (m === undefined || after >= until) return undefined;
  return { minutes: m, text: `${m} min left: your rights end at ${hourMinute(new Date(until))}. Then this session ends.` };
}
