// A list in pages, counted from 1.
import { count, plural } from './words';

/** The largest page that the API answers. */
const most = 100_000;

/** The page that an address names, or the first if it names none. */
export function pageOf(text: string | null): number {
  const n = Number(text);
  return Number.isInteger(n) && n >= 1 ? Math.min(n, most) : 1;
}

/** How many pages there are; an empty list has one. */
export const pageCount = (total: number, size: number) => Math.max(1, Math.ceil(total / size));

/** The page that is by pages away, or undefined if there is none. Before a page past the end comes the last page. */
export function turned(page: number, by: number, total: number, size: number): number | undefined {
  const to = Math.min(page + by, pageCount(total, size));
  return to >= 1 && to !== page ? to : undefined;
}

/** Which rows a page shows: 26 to 50 of 60. */
export const rowsText = (page: number, shown: number, total: number, size: number) =>
  `${count((page - 1) * size + 1)} to ${count((page - 1) * size + shown)} of ${count(total)}`;

/** What a page past the end says; undefined for a page that exists. */
export function pastEnd(page: number, total: number, size: number, what: string): { title: string; text: string } | undefined {
  const last = pageCount(total, size);
  if (page <= last) return;
  return { title: `There is no page ${count(page)}.`, text: `${plural(total, what)} on ${plural(last, 'page')}.` };
}
