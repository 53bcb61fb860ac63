// Components that are fetched when they are first shown.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Failure } from '../api/client';
import { Failed, Loading } from './parts';

export function lazy<P extends object>(load: () => Promise<{ default: ComponentType<P> }>): ComponentType<P> {
  let found: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [C, set] = useState<ComponentType<P> | undefined>(() => found);
    const [lost, lose] = useState(false);
    useEffect(() => {
      if (found) return;
      load().then(
        (m) => {
          found = m.default;
          set(() => found);
        },
        () => lose(true),
      );
    }, []);
    if (lost) return <Failed what="This part of the page could not be loaded." failure={lostPart} retry={() => location.reload()} />;
    return C ? <C {...props} /> : <Loading />;
  };
}

const lostPart = new Failure({ title: 'Offline', status: 0, reason: 'offline', detail: 'the gateway does not answer, or was updated since', hint: 'Load the page again.' }, true);
