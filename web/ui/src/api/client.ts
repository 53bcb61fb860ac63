// Calls to the gateway. Whatever goes wrong becomes a Failure with words for people; an answer's Date keeps our idea of
// the gateway's clock, which decides when a grant ends.
import createClient, { type Middleware } from 'openapi-fetch';
import type { paths } from './schema';
import type { Problem } from './types';
import { setGatewayTime } from '../ui/clock';
import { reached, unreached } from '../ui/online';

export class Failure extends Error {
  constructor(
    readonly problem: Problem,
    readonly offline = false,
  ) {
    super(problem.detail);
  }
  get status() {
    return this.problem.status;
  }
}

const outcome: Middleware = {
  onResponse({ response }) {
    reached();
    const date = response.headers.get('Date');
    if (date) setGatewayTime(new Date(date));
  },
  onError() {
    unreached();
    return new Failure({ title: 'Offline', status: 0, reason: 'offline', detail: 'the gateway cannot be reached', hint: 'It is tried again.' }, true);
  },
};

export const client = createClient<paths>({ baseUrl: '', headers: { Accept: 'application/json, application/problem+json' } });
client.use(outcome);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Waits for an answer and gives its body, or throws a Failure. */
export async function body<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) return data as T;
  const p = (typeof error === 'object' && error !== null ? error : {}) as Partial<Problem>;
  if (response.status === 401) toSignIn();
  throw new Failure({
    ...p,
    title: p.title ?? response.statusText,
    status: response.status,
    reason: p.reason ?? 'internal',
    detail: p.detail ?? `the gateway answered ${response.status}`,
    hint: p.hint ?? (response.status >= 500 ? 'Try again in a moment.' : undefined),
  } as Problem);
}

let stays = false;

/** While on, nobody is led away to sign in: a session's last screen and why it ended stay readable. Every link leads there still. */
export function stayHere(on: boolean) {
  stays = on;
}

/** Who is not signed in, or no longer, goes to sign in and comes back here. */
export function toSignIn() {
  if (stays) return;
  const here = location.pathname + location.search;
  if (location.pathname !== '/signin') location.assign('/signin?next=' + encodeURIComponent(here));
}

/** Text answers: transcript and typed input. */
export async function text(path: string): Promise<string> {
  let response: Response;
  try {
    response = await fetch(path, { headers: { Accept: 'text/plain, application/problem+json' } });
  } catch {
    unreached();
    throw new Failure({ title: 'Offline', status: 0, reason: 'offline', detail: 'the gateway cannot be reached', hint: 'It is tried again.' }, true);
  }
  reached();
  if (!response.ok) return body<never>(response.json().catch(() => ({})).then((error: unknown) => ({ error, response })));
  return response.text();
}
