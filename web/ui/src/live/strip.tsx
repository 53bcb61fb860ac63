// The record strip: its order never changes. Recorded, machine as login, reason, time left, End session.
import { clockTime, countdown, lengthText } from '../base/time';
import { now, useNow } from '../ui/clock';
import type { Live } from './session';

export function Strip({ live, onEnd, onMore }: { live: Live; onEnd: () => void; onMore: () => void }) {
  useNow(1000);
  const left = live.until ? +live.until - +now() : undefined;
  const all = live.until && live.began ? +live.until - +live.began : 0;
  const soon = left !== undefined && left <= 5 * 60_000;
  const offered = live.phase === 'live' && left !== undefined && left <= 15 * 60_000; // as long as the warnings run
  const over = live.phase === 'ended' || live.phase === 'lost';
  return (
    <section class={`strip${soon && !over ? ' soon' : ''}`} aria-label="This session">
      <span>
        <span class={`st ${over ? 'ended' : live.phase === 'live' ? 'rec' : 'wait'}`} id="recorded">
          {over ? 'Ended' : live.phase === 'live' ? 'Recorded' : 'Being opened'}
        </span>
      </span>
      <span>
        <b>{live.device}</b> <span class="k">as</span>
        <code>{live.login || '…'}</code>
      </span>
      <span class="flex">
        {(live.purpose || live.ticket) && (
          <>
            <span class="k">for</span>
            {[live.purpose, live.ticket].filter(Boolean).join(', ')}
          </>
        )}
      </span>
      {!over && left !== undefined && (
        <span id="left">
          <b>{countdown(left)}</b> <span class="k">left</span>
        </span>
      )}
      {over && live.over && (
        <span>
          <span class="k">at</span>
          {clockTime(live.over)}
        </span>
      )}
      <span class="end">
        {over ? (
          <>
            {live.id && (
              <a class="btn" href={`/sessions/${live.id}`}>
                Look at the record
              </a>
            )}
            <a class="btn" id="again" href={againAddress(live)}>
              Open again
            </a>
          </>
        ) : (
          <>
            {offered && (
              <button class="btn" type="button" id="more" onClick={onMore}>
                Request more time
              </button>
            )}
            <button class="btn" type="button" id="end" onClick={onEnd}>
              End session
            </button>
          </>
        )}
      </span>
      {!over && left !== undefined && all > 0 && (
        <progress class="fuse" value={Math.max(0, left)} max={all} aria-label={`Time left of ${lengthText(all)}`}>
          {lengthText(left)}
        </progress>
      )}
    </section>
  );
}

export function againAddress(l: Pick<Live, 'device' | 'login' | 'purpose' | 'ticket'>): string {
  const p = new URLSearchParams({ device: l.device });
  for (const k of ['login', 'purpose', 'ticket'] as const) if (l[k]) p.set(k, l[k]);
  return '/live/new?' + p;
}
