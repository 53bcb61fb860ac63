// Sign in: one way in, at a provider. What is recorded is said before anybody is known. This is the first page of all, so
// it takes along as little as it can.
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { SignIn } from '../api/types';
import { Arch } from '../ui/arch';
import '../styles/status.css';
import '../styles/buttons.css';
import '../styles/blocks.css';
import '../styles/statusline.css';
import '../styles/door.css';

const retry = 4000;

/** What the gateway says before anybody is known; asked for again until it answers. */
function useSignIn(): [SignIn | undefined, boolean] {
  const [s, set] = useState<SignIn | undefined>();
  const [away, setAway] = useState(false);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    const ask = () =>
      fetch('/api/v1/signin')
        .then((r) => (r.ok ? (r.json() as Promise<SignIn>) : Promise.reject(r)))
        .then((x) => (set(x), setAway(false)))
        .catch(() => {
          setAway(true);
          timer = setTimeout(ask, retry);
        });
    void ask();
    return () => clearTimeout(timer);
  }, []);
  return [s, away];
}

function Page() {
  const [s, away] = useSignIn();
  const query = new URLSearchParams(location.search);
  const next = query.get('next') ?? '/';
  const [first, ...more] = s?.notice ?? [];
  const there = place(next);
  return (
    <>
      <main id="main" class="door">
        <section class="part">
          <span class="brand">
            <Arch />
            Sallyport
          </span>
          <h1>Sign in{s && ` to ${s.site_name}`}</h1>
          <p class="muted">
            You are at <code>{location.host}</code>. Check that this is the address in your browser.
          </p>
          {away && (
            <div class="banner bad" role="status">
              <span>
                <b>The gateway does not answer.</b> It is asked again every {retry / 1000} s.
              </span>
            </div>
          )}
          <div class="stackd">
            {s?.providers.map((p, i) => (
              <a class={`btn big${i ? '' : ' primary'}`} href={withNext(p.start, next, query.has('again'))} key={p.name}>
                Continue with {p.shown_as}
              </a>
            ))}
            {s && !s.providers.length && <p>No identity provider is set up. The operator does this in the gateway’s configuration.</p>}
          </div>
          {there && (
            <p class="small muted">
              You went to <b>{there}</b> before signing in, and you will land there.
            </p>
          )}
        </section>
        <section class="part rule-l" aria-labelledby="rec">
          <h2 id="rec">
            <span class="st rec">Recorded</span>
          </h2>
          <p class="prose">{first}</p>
          <ul class="stackd gap-s">
            {more.map((l) => (
              <li key={l}>{l}</li>
            ))}
          </ul>
        </section>
      </main>
      <footer class="statusline">
        <span>{s?.demo ? 'Demo: its logins are shown where it was started' : (s?.site_name ?? '')}</span>
        <span>{location.host}</span>
      </footer>
    </>
  );
}

function withNext(start: string, next: string, again: boolean): string {
  const u = new URL(start, location.href);
  if (again) u.searchParams.set('again', '1');
  if (next.startsWith('/') && !next.startsWith('//')) u.searchParams.set('next', next);
  return u.pathname + u.search;
}

/** What an address is about, if it has a name. */
function place(next: string): string {
  const m = /^\/(?:machines\/([^/?]+)|live\/new\?.*device=([^&]+)|sessions\/([^/?]+))/.exec(next);
  if (!m) return '';
  try {
    return decodeURIComponent(m[1] ?? m[2] ?? `session ${m[3]!.slice(0, 8)}`);
  } catch {
    return ''; // whoever made the address wrote a bad %
  }
}

export function start(at: Element) {
  document.title = 'Sign in · Sallyport';
  render(<Page />, at);
}
