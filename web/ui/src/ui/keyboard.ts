// The keyboard map of lists and pages. Single keys work only while nothing is being typed.
import { useEffect } from 'preact/hooks';

export const typing = (e: KeyboardEvent) => {
  const t = e.target as HTMLElement | null;
  return !!t && (t.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName)) && (t as HTMLInputElement).type !== 'range';
};

/** Follows keys on the page. The handler says true when it used one. */
export function useKeys(handler: (e: KeyboardEvent) => boolean | void, deps: unknown[] = []) {
  useEffect(() => {
    const on = (e: KeyboardEvent) => {
      if (e.defaultPrevented || document.querySelector('dialog[open]')) return;
      if (handler(e)) e.preventDefault();
    };
    document.addEventListener('keydown', on);
    return () => document.removeEventListener('keydown', on);
  }, deps);
}

/** j and k move through what is marked data-row, Enter opens its link. */
export function useListKeys() {
  useKeys((e) => {
    if (typing(e) || e.ctrlKey || e.altKey || e.metaKey) return;
    if (e.key !== 'j' && e.key !== 'k') return;
    const links = [...document.querySelectorAll<HTMLElement>('[data-row]')].filter((x) => x.offsetParent !== null);
    const at = links.indexOf(document.activeElement as HTMLElement);
    const next = links[e.key === 'j' ? Math.min(at + 1, links.length - 1) : Math.max(at - 1, 0)];
    next?.focus();
    return true;
  });
}
