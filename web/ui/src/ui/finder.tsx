// Find a machine: names, sites and labels of what is visible to the asker. In a dialog, and on a narrow window a page.
import { useEffect, useRef, useState } from 'preact/hooks';
import { body, client } from '../api/client';
import { deviceShown } from '../base/session';
import { sinceText } from '../base/time';
import { matches } from '../base/words';
import { now } from './clock';
import { useData } from './data';
import { Failed, Loading, Shows } from './parts';

const address = (name: string) => '/machines/' + encodeURIComponent(name);

/** What is looked for, what was found, and which of it Enter opens. */
export function useFinder(most: number, go: (href: string) => void) {
  const [text, set] = useState('');
  const [at, move] = useState(0);
  const list = useData(() => body(client.GET('/api/v1/devices')), []);
  const found = (list.data ?? []).filter((d) => matches(text, d.name, d.site, ...Object.entries(d.labels).map(([k, v]) => `${k}=${v}`))).slice(0, most);
  const keys = (e: KeyboardEvent) => {
    if (e.key === 'ArrowDown') move(Math.min(at + 1, found.length - 1));
    else if (e.key === 'ArrowUp') move(Math.max(at - 1, 0));
    else return;
    e.preventDefault();
  };
  const submit = () => found[at] && go(address(found[at].name));
  return { text, list, found, at, go, keys, submit, look: (t: string) => (set(t), move(0)) };
}

export function Finder({ f }: { f: ReturnType<typeof useFinder> }) {
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => box.current?.focus(), []);
  return (
    <>
      <div class="field">
        <label class="vh" for="find">
          Name, customer or label
        </label>
        <input id="find" ref={box} type="search" autocomplete="off" placeholder="Name, customer or label" value={f.text} onInput={(e) => f.look(e.currentTarget.value)} onKeyDown={f.keys} />
      </div>
      {f.list.failure && <Failed failure={f.list.failure} what="Machines could not be read." retry={f.list.reload} />}
      {!f.list.data && !f.list.failure && <Loading />}
      <ul class="lines tight found" aria-label="Machines found">
        {f.found.map((d, i) => (
          <li class={i === f.at ? 'row at' : 'row'} key={d.name}>
            <span>
              <a href={address(d.name)} onClick={(e) => (e.preventDefault(), f.go(address(d.name)))}>
                {d.name}
              </a>
              <span class="sub">{d.site || 'no site'}</span>
            </span>
            <Shows of={deviceShown(d, (t) => sinceText(new Date(t), now()))} small />
          </li>
        ))}
      </ul>
      {f.list.data && !f.found.length && <p class="muted">No machine of this name is visible to you.</p>}
    </>
  );
}
