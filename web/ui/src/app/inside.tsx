// The pages of somebody who is signed in.
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import { body, client } from '../api/client';
import type { Me } from '../api/types';
import { places } from '../base/session';
import { useData } from '../ui/data';
import { lazy } from '../ui/lazy';
import { OfflineBanner } from '../ui/online';
import { Failed, Loading } from '../ui/parts';
import { Shell } from '../ui/shell';
import { go } from './router';

export interface PageProps {
  me: Me;
  at: URL;
  /** Reads again how many machines and requests wait, once one of them does so no more. */
  recount: () => void;
}

const pages: Record<string, ComponentType<PageProps>> = {
  '/': lazy(() => import('./mywork')),
  '/sessions': lazy(() => import('./sessions')),
  '/requests': lazy(() => import('./requests')),
  '/machines': lazy(() => import('./machines')),
  '/find': lazy(() => import('./find')),
  machine: lazy(() => import('./machine')),
  request: lazy(() => import('./request')),
  proposal: lazy(() => import('./proposal')),
  none: lazy(() => import('./notfound')),
};

export function Inside({ at, known }: { at: URL; known: boolean }) {
  const me = useData(() => body(client.GET('/api/v1/me')), [], 60_000);
  const waiting = useWaiting(me.data);
  const asked = useAsked(me.data);
  const proposed = useProposed(me.data);
  const home = me.data && places(me.data)[0]!.href;
  useEffect(() => {
    if (home && at.pathname === '/' && home !== '/') go(home, true);
  }, [home, at.pathname]);
  if (!me.data) {
    return (
      <main id="main" class="page">
        <h1 class="vh">Sallyport</h1>
        <OfflineBanner />
        {me.failure && me.failure.status !== 401 ? <Failed failure={me.failure} what="This page could not be opened." retry={me.reload} /> : <Loading />}
      </main>
    );
  }
  const path = at.pathname;
  const Page = (!known ? pages.none : path.startsWith('/machines/') ? pages.machine : path.startsWith('/requests/') ? pages.request : path.startsWith('/proposals/') ? pages.proposal : pages[path])!;
  return (
    <Shell me={me.data} at={path.startsWith('/proposals/') ? '/requests' : '/' + (path.split('/')[1] ?? '')} go={go} counts={{ '/machines': waiting.count, '/requests': asked.count + proposed.count }}>
      <Page
        me={me.data}
        at={at}
        recount={() => {
          waiting.reload();
          asked.reload();
          proposed.reload();
        }}
      />
    </Shell>
  );
}

/** How many machines wait to be admitted, for those who can. */
function useWaiting(me: Me | undefined) {
  const can = !!me?.duties.includes('administer');
  const list = useData(() => (can ? body(client.GET('/api/v1/devices')) : Promise.resolve([])), [can], can ? 15_000 : 0);
  return { count: (list.data ?? []).filter((d) => d.state === 'waiting').length, reload: list.reload };
}

/** How many requests wait for somebody's answer. */
function useAsked(me: Me | undefined) {
  const list = useData(() => (me ? body(client.GET('/api/v1/requests', { params: { query: { answer: true, page: 1, size: 1 } } })) : Promise.resolve(undefined)), [!me], 10_000);
  return { count: list.data?.total ?? 0, reload: list.reload };
}

/** How many changes wait for this person to confirm them. */
function useProposed(me: Me | undefined) {
  const can = !!me?.duties.includes('administer');
  const list = useData(() => (can ? body(client.GET('/api/v1/proposals')) : Promise.resolve([])), [can], can ? 10_000 : 0);
  return { count: (list.data ?? []).filter((p) => !p.mine).length, reload: list.reload };
}
