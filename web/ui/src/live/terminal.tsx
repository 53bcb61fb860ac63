// The session while it runs, and its last screen when it has ended.
import { useEffect, useRef, useState } from 'preact/hooks';
import { OfflineBanner } from '../ui/online';
import { Dialog, useLate } from '../ui/parts';
import { setting } from '../ui/settings';
import { useStore } from '../ui/store';
import { About } from './about';
import { FindBar } from './findbar';
import type { Running } from './session';
import { againAddress, Strip } from './strip';
import '../styles/tabs.css';

export function TerminalPage({ running }: { running: Running }) {
  const live = useStore(running.state);
  const at = useRef<HTMLDivElement>(null);
  const [tab, show] = useState<'terminal' | 'about'>('terminal');
  const [ending, ask] = useState(false);
  const [finding, find] = useState(false);
  const over = live.phase === 'ended' || live.phase === 'lost';
  useEffect(() => {
    const leave = () => (document.getElementById('end') ?? document.querySelector<HTMLElement>('.strip .btn'))?.focus();
    void running.start(at.current!, { end: () => ask(true), find: () => find(true), leave }, setting('reader') === 'on');
    return () => running.screen?.dispose();
  }, [running]);
  useLeaveGuard(live.phase === 'live');
  useEffect(() => {
    if (over) ask(false);
  }, [over]);
  const back = () => running.screen?.focus();
  return (
    <>
      <Strip live={live} onEnd={() => ask(true)} onMore={() => (void running.moreTime(), back())} />
      <main id="main">
        <h1 class="vh">Session on {live.device}</h1>
        <div class={`work ${tab}`}>
          <div class="tabs" role="tablist" aria-label="Parts of this session">
            <button role="tab" type="button" id="t-term" aria-selected={tab === 'terminal'} aria-controls="p-term" tabIndex={tab === 'terminal' ? 0 : -1} onClick={() => show('terminal')} onKeyDown={(e) => e.key.startsWith('Arrow') && show('about')}>
              Terminal
            </button>
            <button role="tab" type="button" id="t-about" aria-selected={tab === 'about'} aria-controls="p-about" tabIndex={tab === 'about' ? 0 : -1} onClick={() => show('about')} onKeyDown={(e) => e.key.startsWith('Arrow') && show('terminal')}>
              About
            </button>
          </div>
          <section class={`term live-term${over ? ' over' : ''}`} id="p-term" aria-label="Terminal. Ctrl Alt X leaves it for the buttons.">
            <div class="screen" ref={at} />
            {(live.phase === 'asking' || live.phase === 'opening') && <Opening device={live.device} />}
          </section>
          <div class="said">
            <OfflineBanner />
            {finding && <FindBar find={(t, b) => running.screen!.find(t, b)} onClose={() => (find(false), back())} />}
            {live.said.map((s) => (
              <div class="toast" role={s.urgent ? 'alert' : 'status'} key={s.id}>
                <span>
                  {s.title && <b>{s.title} </b>}
                  {s.text}
                </span>
                {s.about === 'end' && (
                  <button class="btn" type="button" id="more-time" onClick={() => (running.unsay(s.id), void running.moreTime(), back())}>
                    Request more time
                  </button>
                )}
                <button class="btn" type="button" onClick={() => (running.unsay(s.id), back())}>
                  Close
                </button>
              </div>
            ))}
            {over && (
              <div class="toast" role="status" id="ended">
                <span>
                  <b>{live.why}</b> What was recorded is kept.
                </span>
                {live.phase === 'lost' && <a href={againAddress(live)}>Open again</a>}
                <a href={`/sessions/${live.id}`}>Look at the record</a>
              </div>
            )}
          </div>
        </div>
        <About live={live} />
      </main>
      {ending && (
        <Dialog
          title={`End the session on ${live.device}?`}
          onClose={() => (ask(false), back())}
          onSubmit={() => running.end()}
          foot={
            <button class="btn danger" id="end-now">
              End session
            </button>
          }
        >
          <p>What runs in it is ended by the machine. The record is closed and kept.</p>
        </Dialog>
      )}
    </>
  );
}

/** What happens before the first byte, once it takes long enough to be asked about. */
function Opening({ device }: { device: string }) {
  const late = useLate(300);
  if (!late) return null;
  return (
    <p class="opening" role="status">
      Announcing the session in the log, then asking {device} to agree to it.
    </p>
  );
}

/** Closing the tab ends the session, so the browser asks. */
function useLeaveGuard(on: boolean) {
  useEffect(() => {
    if (!on) return;
    const stay = (e: BeforeUnloadEvent) => e.preventDefault();
    addEventListener('beforeunload', stay);
    return () => removeEventListener('beforeunload', stay);
  }, [on]);
}
