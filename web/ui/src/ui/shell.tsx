// Top line, status line, find, the list of keys: what stands around every page of somebody who is signed in.
import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { body, client } from '../api/client';
import type { Me } from '../api/types';
import { places, roleWord } from '../base/session';
import { hourMinute, zone } from '../base/time';
import { count } from '../base/words';
import { Arch } from './arch';
import { useNow } from './clock';
import { useData } from './data';
import { typing, useKeys } from './keyboard';
import { lazy } from './lazy';
import { useOnline } from './online';
import { Toasts } from './toast';
import '../styles/statusline.css';
import '../styles/shell.css';

const FindDialog = lazy(() => import('./find'));
const KeysDialog = lazy(() => import('./keyslist'));
const MeMenu = lazy(() => import('./memenu'));

export interface ShellProps {
  me: Me;
  at: string; // href of the place that is open
  counts?: Record<string, number>; // by href
  children: ComponentChildren;
  go: (href: string) => void;
  bare?: boolean; // the terminal: no single keys, they go to the machine
}

export function Shell({ me, at, counts, children, go, bare }: ShellProps) {
  const [open, setOpen] = useState<'find' | 'keys' | 'me' | undefined>();
  const nav = places(me);
  useShellKeys(nav, go, setOpen, !!bare);
  const close = () => setOpen(undefined);
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header class="top">
        <a class="brand" href={nav[0]!.href}>
          <Arch />
          Sallyport
        </a>
        <nav aria-label="Main">
          {nav.map((p) => (
            <a href={p.href} aria-current={p.href === at ? 'page' : undefined} key={p.href}>
              {p.text}
              {!!counts?.[p.href] && (
                <span class="count">
                  {count(counts[p.href]!)}
                  <span class="vh"> waiting</span>
                </span>
              )}
            </a>
          ))}
          <a class="narrow" href="/find" aria-current={at === '/find' ? 'page' : undefined}>
            Find
          </a>
        </nav>
        <button class="btn find" type="button" onClick={() => setOpen('find')}>
          Find a machine {!bare && <kbd>Ctrl K</kbd>}
        </button>
        <button class="me" type="button" aria-haspopup="dialog" onClick={() => setOpen('me')}>
          {me.name} <span class="chip">{roleWord(me)}</span>
        </button>
      </header>
      {children}
      <StatusLine me={me} />
      <Toasts />
      {open === 'find' && <FindDialog onClose={close} go={go} />}
      {open === 'keys' && <KeysDialog onClose={close} />}
      {open === 'me' && <MeMenu me={me} onClose={close} onKeys={() => setOpen('keys')} />}
    </>
  );
}

function useShellKeys(nav: { href: string; key: string }[], go: (href: string) => void, open: (what: 'find' | 'keys') => void, bare: boolean) {
  const g = useRef(0);
  useKeys(
    (e) => {
      if (bare || e.altKey || e.metaKey) return;
      if (e.ctrlKey && e.key.toLowerCase() === 'k') {
        open('find');
        return true;
      }
      if (typing(e) || e.ctrlKey) return;
      if (Date.now() - g.current < 1500) {
        g.current = 0;
        const to = nav.find((p) => p.key === e.key);
        if (to) go(to.href);
        return !!to;
      }
      if (e.key === 'g') g.current = Date.now();
      else if (e.key === '/') open('find');
      else if (e.key === '?') open('keys');
      else return;
      return true;
    },
    [nav.map((p) => p.href).join(), bare],
  );
}

/** Global facts: the log, and the gateway's clock. Plain facts have no colour. */
function StatusLine({ me }: { me: Me }) {
  const online = useOnline();
  const log = useData(() => body(client.GET('/api/v1/log/checkpoint')), [], 15_000);
  const t = useNow(10_000);
  return (
    <footer class="statusline" aria-label="State of the record">
      {online ? log.data && <span>Log {count(log.data.size)}</span> : <span class="st bad">No connection to the gateway</span>}
      <span>{me.site_name}</span>
      {me.demo && <span>Demo</span>}
      <span>
        {location.host} · {hourMinute(t)} {zone(t)}
      </span>
    </footer>
  );
}
