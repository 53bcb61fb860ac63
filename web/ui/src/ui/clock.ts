// The gateway's clock as its answers tell it, and a tick that components follow.
import { useEffect, useState } from 'preact/hooks';

let offset = 0;

/** An answer's Date is whole seconds: only what is further off than that counts as another clock. */
export function setGatewayTime(t: Date) {
  const off = t.getTime() + 500 - Date.now();
  offset = Math.abs(off) > 2000 ? off : 0;
}

export const now = () => new Date(Date.now() + offset);

/** Renders anew every so often, and gives the time. */
export function useNow(every: number): Date {
  const [t, set] = useState(now);
  useEffect(() => {
    const timer = setInterval(() => set(now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return t;
}
