// Data of the API in a component: old data stays while new comes, and stays with its time when none comes.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Failure } from '../api/client';
import { isOnline, onReached } from './online';

export interface Data<T> {
  data: T | undefined;
  failure: Failure | undefined;
  reload: () => void;
}

/** Fetches now, when deps change, when the gateway is back, and every so many ms while the page is in sight. */
export function useData<T>(fetcher: () => Promise<T>, deps: unknown[], every = 0): Data<T> {
  const [state, set] = useState<{ data?: T; failure?: Failure }>({});
  const latest = useRef(fetcher);
  latest.current = fetcher;
  const round = useRef(0);
  const run = useCallback(async () => {
    const mine = ++round.current;
    try {
      const data = await latest.current();
      if (mine === round.current) set((old) => (same(old.data, data) && !old.failure ? old : { data }));
    } catch (e) {
      if (mine !== round.current) return;
      const failure = asFailure(e);
      set((old) => (failure.offline && old.data !== undefined ? old : { ...(failure.offline ? old : {}), failure }));
    }
  }, []);
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) set({});
    first.current = false;
    void run();
    const back = onReached(() => isOnline() && void run());
    const timer = every ? setInterval(() => document.visibilityState === 'visible' && isOnline() && void run(), every) : undefined;
    const seen = () => document.visibilityState === 'visible' && every && isOnline() && void run();
    document.addEventListener('visibilitychange', seen);
    return () => {
      round.current++;
      back();
      clearInterval(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }, deps);
  return { data: state.data, failure: state.failure, reload: run };
}

/** Polling mostly brings what is there already: then nothing is drawn. */
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

export function asFailure(e: unknown): Failure {
  if (e instanceof Failure) return e;
  console.error(e);
  return new Failure({ title: 'Fault', status: 0, reason: 'internal', detail: 'this page has a fault of its own', hint: 'Load it again.' });
}
