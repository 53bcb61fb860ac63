// What one may on this machine: the right that the session stands on, the others, and those that have to be asked for.
import { body, client } from '../api/client';
import type { Right } from '../api/types';
import { clockTime } from '../base/time';
import { asking, others } from '../base/work';
import { upper } from '../base/words';
import { useData } from '../ui/data';
import { Failed, St } from '../ui/parts';
import type { Live } from './session';

export function Here({ live }: { live: Live }) {
  const work = useData(() => body(client.GET('/api/v1/work')), [live.device], 60_000);
  const w = work.data?.devices.find((d) => d.device.name === live.device);
  return (
    <section class="part gap-s">
      <header>
        <h2>What you can do here</h2>
      </header>
      <ul class="lines tight small">
        <li class="row nw">
          <span>
            Terminal as <code>{live.login || '…'}</code>
            <span class="sub">{[live.rule && `rule ${live.rule}`, live.until && `until ${clockTime(live.until)}`].filter(Boolean).join(', ')}</span>
          </span>
          <St shape="ok">
            <span class="vh">allowed</span>
          </St>
        </li>
        {others(w?.can_open ?? [], live.login).map((r) => (
          <Other r={r} device={live.device} key={r.action} />
        ))}
        {(w?.can_ask ?? []).map((r) => (
          <Askable r={r} key={'ask' + r.action} />
        ))}
      </ul>
      {work.failure && <Failed failure={work.failure} what="Your other rights could not be read." retry={work.reload} />}
    </section>
  );
}

/** Another login: a session of its own, in a window of its own. */
function Other({ r, device }: { r: Right; device: string }) {
  return (
    <li class="row nw">
      <span>
        {upper(r.text)}
        <span class="sub">rule {r.rule}</span>
      </span>
      <a href={`/live/new?${new URLSearchParams({ device, login: r.login! })}`} target="_blank" rel="noopener" aria-label={`Open as ${r.login}, in another window`}>
        Open…
      </a>
    </li>
  );
}

function Askable({ r }: { r: Right }) {
  const { most, wants } = asking([r]);
  return (
    <li class="row nw">
      <span class="muted">
        {upper(r.text)}
        <span class="sub">{[wants, most].filter(Boolean).join(', ')}</span>
      </span>
      <span class="muted nowrap">by request</span>
    </li>
  );
}
