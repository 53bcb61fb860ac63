// Addresses of the app's own pages. Other documents (a terminal, a session's page) are full loads: another policy.
import { useEffect } from 'preact/hooks';
import { store, useStore } from '../ui/store';

const here = store(location.pathname + location.search);

const moved = () => here.set(location.pathname + location.search);

/** Whether an address belongs to this document. */
export function isOurs(path: string): boolean {
  return path === '/' || path === '/sessions' || path === '/machines' || path === '/requests' || /^\/requests\/[^/]+$/.test(path) || /^\/proposals\/[^/]+$/.test(path) || path === '/find' || /^\/machines\/[^/]+$/.test(path);
}

export function go(href: string, replace = false) {
  const to = new URL(href, location.href);
  if (!isOurs(to.pathname)) {
    location.assign(to);
    return;
  }
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  moved();
  if (!replace) {
    scrollTo(0, 0);
    requestAnimationFrame(() => (document.querySelector<HTMLElement>('main h1') ?? document.body).focus());
  }
}

/** The address, followed; links to our own pages do not load. */
export function useAddress(): URL {
  const at = useStore(here);
  useEffect(() => {
    const click = (e: MouseEvent) => {
      if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
      const a = (e.target as Element).closest?.('a[href]') as HTMLAnchorElement | null;
      if (!a || a.target || a.download || a.origin !== location.origin || a.getAttribute('href')!.startsWith('#') || !isOurs(a.pathname)) return;
      e.preventDefault();
      go(a.href);
    };
    document.addEventListener('click', click);
    addEventListener('popstate', moved);
    return () => {
      document.removeEventListener('click', click);
      removeEventListener('popstate', moved);
    };
  }, []);
  return new URL(at, location.href);
}
