// A value that components follow.
import { useEffect, useState } from 'preact/hooks';

export interface Store<T> {
  get(): T;
  set(v: T): void;
  follow(fn: () => void): () => void;
}

export function store<T>(value: T): Store<T> {
  const followers = new Set<() => void>();
  return {
    get: () => value,
    set(v) {
      if (v === value) return;
      value = v;
      for (const f of [...followers]) f();
    },
    follow(fn) {
      followers.add(fn);
      return () => followers.delete(fn);
    },
  };
}

export function useStore<T>(s: Store<T>): T {
  const [v, set] = useState(s.get);
  useEffect(() => {
    set(() => s.get());
    return s.follow(() => set(() => s.get()));
  }, [s]);
  return v;
}
