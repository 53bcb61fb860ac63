// Finding text in text, without regard to small and large letters.

const most = 2000;

/** Text cut at what is looked for: every second piece is a hit. */
export function split(all: string, find: string): string[] {
  const out: string[] = [];
  let from = 0;
  for (const at of places(all, find)) {
    out.push(all.slice(from, at), all.slice(at, at + find.length));
    from = at + find.length;
  }
  return [...out, all.slice(from)];
}

/** How often it is found. */
export const found = (all: string, find: string) => places(all, find).length;

function places(all: string, find: string): number[] {
  const out: number[] = [];
  const low = all.toLowerCase();
  const what = find.toLowerCase();
  for (let at = low.indexOf(what); what && at >= 0 && out.length < most; at = low.indexOf(what, at + what.length)) out.push(at);
  return out;
}
