import { Failure } from '../api/client';

/** kind=press maker=nord, as an object. */
export function parseLabels(text: string): Record<string, string> {
  const out: Record<string, string> = {};
  for (const word of text.split(/[\s,]+/).filter(Boolean)) {
    const at = word.indexOf('=');
    if (at < 1) throw new Failure({ title: 'Labels', status: 0, reason: 'usage', detail: `“${word}” is no label`, hint: 'Write name=value, with spaces between.' });
    out[word.slice(0, at)] = word.slice(at + 1);
  }
  return out;
}

export const labelText = (labels: Record<string, string>) =>
  Object.entries(labels)
    .map(([k, v]) => `${k}=${v}`)
    .join(' ');

/** What to send so that the labels become these: an empty value removes one. */
export function labelChange(before: Record<string, string>, after: Record<string, string>): Record<string, string> {
  const out = { ...after };
  for (const k of Object.keys(before)) if (!(k in after)) out[k] = '';
  return out;
}
