// Numbers, sizes and names as people read them.

const group = new Intl.NumberFormat('en');

/** 48,211 */
export const count = (n: number) => group.format(n);

/** 1 session, 2 sessions */
export const plural = (n: number, one: string, more = one + 's') => `${count(n)} ${n === 1 ? one : more}`;

/** 88 KB, 1.0 MB */
export function bytes(n: number): string {
  if (n < 1000) return `${n} bytes`;
  const units = ['KB', 'MB', 'GB', 'TB'];
  let v = n / 1000;
  let u = 0;
  while (v >= 1000 && u < units.length - 1) {
    v /= 1000;
    u++;
  }
  return `${v < 10 ? v.toFixed(1) : Math.round(v)} ${units[u]}`;
}

/** The first digits of a key, in fours, as a machine shows them: 7f3a 91c2 e04d 5b18. */
export function keyDigits(fingerprint: string): string {
  const text = fingerprint.replace(/^SHA256:/, '');
  return (text.slice(0, 16).match(/.{1,4}/g) ?? []).join(' ');
}

/** What of an argument vector a shell would need quoted is quoted. */
export function commandLine(argv: string[]): string {
  return argv.map((a) => (/^[\w@%+=:,./-]+$/.test(a) ? a : `'${a.replace(/'/g, `'\\''`)}'`)).join(' ');
}

/** The version of an agent, without the program's own name. */
export const agentVersion = (agent: string) => agent.replace(/^sallyport-agent\s+/, '');

/** First letter as at the beginning of a sentence. A first word with a digit, - or _ is a name, which has one spelling. */
export const upper = (s: string) => (/^\S*[-_\d]/.test(s) ? s : s.charAt(0).toUpperCase() + s.slice(1));

/** First letter as at the beginning of a sentence, and its full stop. */
export const sentence = (s: string) => {
  const t = upper(s);
  return t === '' || /[.!?…:]$/.test(t) ? t : t + '.';
};

/** Text for a filter: every word must be somewhere in what is searched. */
export function matches(filter: string, ...fields: (string | undefined)[]): boolean {
  const all = fields.filter(Boolean).join(' ').toLowerCase();
  return filter.toLowerCase().split(/\s+/).every((w) => all.includes(w));
}

/** A text of the gateway in pieces: every second one is code, which stands between backticks there. */
export function pieces(text: string): string[] {
  const all = text.split('`');
  return all.length % 2 ? all : [text];
}
