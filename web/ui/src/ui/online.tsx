// Whether the gateway answers. When it does not, the page says since when what it shows is from, and tries again.
import { useEffect, useState } from 'preact/hooks';
import { clockTime } from '../base/time';
import { store, useStore } from './store';

interface Loss {
  since: Date;
  tries: number;
  next: number; // ms since the epoch
}

const loss = store<Loss | undefined>(undefined);
const waits = [2, 4, 8, 15, 30];
let timer: ReturnType<typeof setTimeout> | undefined;

export function reached() {
  clearTimeout(timer);
  loss.set(undefined);
}

export function unreached() {
  const now = loss.get();
  const tries = (now?.tries ?? 0) + 1;
  const wait = waits[Math.min(tries, waits.length) - 1]! * 1000;
  if (now && now.next > Date.now()) return; // several calls failed together
  loss.set({ since: now?.since ?? new Date(), tries, next: Date.now() + wait });
  clearTimeout(timer);
  timer = setTimeout(probe, wait);
}

async function probe() {
  const now = loss.get();
  if (now) loss.set({ ...now, next: 0 });
  try {
    await fetch('/api/v1/signin', { cache: 'no-store' });
  } catch {
    unreached();
    return;
  }
  reached();
}

export const onReached = loss.follow;
export const isOnline = () => loss.get() === undefined;
export const useOnline = () => useStore(loss) === undefined;

/** Said in place of what a button does while the gateway is away. */
export const offlineReason = 'needs the gateway, which does not answer';

export function OfflineBanner() {
  const l = useStore(loss);
  const [, tick] = useState(0);
  useEffect(() => {
    if (!l) return;
    const t = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(t);
  }, [l]);
  if (!l) return null;
  const left = Math.max(0, Math.ceil((l.next - Date.now()) / 1000));
  return (
    <div class="wide banner bad" role="status">
      <span>
        <b>No connection to the gateway since {clockTime(l.since)}.</b> What you see is from then. {left ? `Trying again in ${left} s.` : 'Trying now.'}
      </span>
      <button class="btn" type="button" onClick={probe}>
        Try now
      </button>
    </div>
  );
}
