// The small parts that pages are made of.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Failure } from '../api/client';
import type { Shape, Shown } from '../base/session';
import { clockTime, dayAndTime, exact } from '../base/time';
import { pieces, sentence } from '../base/words';
import { now } from './clock';

/** A state: a shape and a word. */
export const St = ({ shape, children, small }: { shape: Shape; children: ComponentChildren; small?: boolean }) => <span class={`st ${shape}${small ? ' small' : ''}`}>{children}</span>;

export const Shows = ({ of, small }: { of: Shown; small?: boolean }) => (
  <St shape={of.shape} small={small}>
    {of.text}
  </St>
);

/** A time in words, exact in its title. */
export function Time({ at, as }: { at: string; as?: (t: Date, now: Date) => string }) {
  const t = new Date(at);
  return (
    <time dateTime={at} title={exact(t)}>
      {(as ?? dayAndTime)(t, now())}
    </time>
  );
}

/** A clock time in a record: never relative. */
export const Clock = ({ at }: { at: string }) => <time dateTime={at}>{clockTime(new Date(at))}</time>;

/** True once it has lasted: nothing is shown of what is quicker. */
export function useLate(ms: number): boolean {
  const [late, set] = useState(false);
  useEffect(() => {
    const t = setTimeout(() => set(true), ms);
    return () => clearTimeout(t);
  }, [ms]);
  return late;
}

/** Grey lines of the final height, after 300 ms. */
export function Loading({ lines = 3 }: { lines?: number }) {
  const late = useLate(300);
  if (!late) return <div class="stackd quiet" aria-busy="true" />;
  return (
    <div class="stackd skels" aria-busy="true">
      <span class="vh">Loading</span>
      {Array.from({ length: lines }, (_, i) => (
        <span class="skel" key={i} />
      ))}
    </div>
  );
}

export const Empty = ({ title, children }: { title: string; children?: ComponentChildren }) => (
  <div class="empty">
    <p class="h3">{title}</p>
    {children}
  </div>
);

/** A text of the gateway, with what one types as code. */
export const Words = ({ of = '' }: { of?: string }) => <>{pieces(of).map((p, i) => (i % 2 ? <code key={i}>{p}</code> : p))}</>;

/** What went wrong, beside what failed: what, why, what to do, reference. Refusals are signposts. */
export function Failed({ failure, what, retry }: { failure: Failure; what: string; retry?: () => void }) {
  const p = failure.problem;
  if (p.reason === 'denied') return <Refusal title={what} why={sentence(p.detail)} hint={p.hint} ways={p.can_ask?.map((w) => w.text)} stepUp={p.step_up} />;
  return (
    <div class="banner bad" role="alert">
      <span>
        <b>{what}</b> <Words of={sentence(p.detail)} /> <Words of={p.hint} /> {p.errors?.map((e) => sentence(e.message)).join(' ')} {p.reference && `Reference ${p.reference}.`}
      </span>
      {retry && (
        <button class="btn" type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Refusal({ title, why, hint, ways = [], stepUp }: { title: string; why: string; hint?: string; ways?: string[]; stepUp?: boolean }) {
  // The hint is most often the first of the ways, and may continue it.
  const nearest = [hint ?? '', ...ways.filter((w) => !hint?.startsWith(w))].filter((w) => w);
  return (
    <div class="refusal" role="status">
      <p class="h3">{title}</p>
      <dl class="kv">
        <dt>Why</dt>
        <dd>
          <Words of={why} />
        </dd>
        {nearest.length > 0 && <dt>Nearest way in</dt>}
        {nearest.map((w, i) => (
          <dd class={i ? 'second' : undefined} key={w}>
            <Words of={sentence(w)} />
          </dd>
        ))}
      </dl>
      {stepUp && (
        <p>
          <a class="btn" id="step-up" href={`/login?again&next=${encodeURIComponent(location.pathname + location.search)}`}>
            Sign in again
          </a>
        </p>
      )}
    </div>
  );
}

/** A line to paste, with the button that copies it. */
export function Copy({ text, label }: { text: string; label: string }) {
  const [done, set] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(text);
    set(true);
    setTimeout(() => set(false), 1500);
  };
  return (
    <div class="copy">
      <code>
        {text.split(' ').map((word, i) => (
          <>
            {i > 0 && ' '}
            <span>{word}</span>
          </>
        ))}
      </code>
      <button class="btn" type="button" aria-label={done ? 'Copied' : `Copy ${label}`} onClick={copy}>
        {done ? 'Copied' : 'Copy'}
      </button>
    </div>
  );
}

type FormEvent = Event & { currentTarget: HTMLFormElement };

/** A native dialog that is open as long as it is there, and gives focus back when it goes. */
export function Dialog({ title, onClose, children, foot, onSubmit, sheet }: { title: string; onClose: () => void; children: ComponentChildren; foot?: ComponentChildren; onSubmit?: (e: FormEvent) => void; sheet?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    ref.current!.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    onSubmit?.(e);
  };
  // A busy browser can send the close event late. By then another dialog may be open, and this event must not close it.
  const closed = (e: Event) => {
    if ((e.currentTarget as Element).isConnected) onClose();
  };
  return (
    <dialog ref={ref} class={sheet ? 'sheet' : undefined} aria-labelledby="dlg" onClose={closed}>
      <form onSubmit={submit}>
        <header class="dlg-head">
          <h2 id="dlg">{title}</h2>
        </header>
        <div class="dlg-body">{children}</div>
        <footer class="dlg-foot btns">
          {foot}
          <button class="btn" type="button" onClick={onClose}>
            {foot ? 'Cancel' : 'Close'}
          </button>
        </footer>
      </form>
    </dialog>
  );
}

/** Stacked tables lose their table semantics in some browsers when display changes: this says it again. */
export function StackTable({ kind, caption, children, label, id }: { kind: string; caption: string; children: ComponentChildren; label?: string; id?: string }) {
  const ref = useRef<HTMLTableElement>(null);
  useEffect(() => {
    const t = ref.current!;
    const say = (what: string, role: (e: HTMLElement) => string) => t.querySelectorAll<HTMLElement>(what).forEach((e) => e.setAttribute('role', role(e)));
    t.setAttribute('role', 'table');
    say('thead, tbody', () => 'rowgroup');
    say('tr', () => 'row');
    say('td', () => 'cell');
    say('th', (e) => ((e as HTMLTableCellElement).scope === 'col' ? 'columnheader' : 'rowheader'));
  });
  return (
    <table class={'tbl stack ' + kind} ref={ref} id={id} aria-label={label}>
      <caption class="vh">{caption}</caption>
      {children}
    </table>
  );
}
