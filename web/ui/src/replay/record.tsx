// The record of a session on its page: screen, transport, lanes; transcript beside it.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { SessionDetail, Timeline } from '../api/types';
import { address, channelQuery, idleOf, several, shownChannel, standsAt } from '../base/channels';
import { isRunning } from '../base/session';
import { rowAt, scriptRows } from '../base/script';
import { clockTime, position } from '../base/time';
import type { Data } from '../ui/data';
import { typing, useKeys } from '../ui/keyboard';
import { Failed, Loading } from '../ui/parts';
import { ChannelChoice } from './channel';
import { Lanes } from './lanes';
import { Replay, speeds } from './player';
import { Script } from './script';
import { Whole } from './whole';

/** The channel that the address or a person asks for; onAsk asks for another. */
export interface Asked {
  ch: number | undefined;
  onAsk: (ch: number) => void;
}

export function Record({ s, t, asked }: { s: SessionDetail; t: Data<Timeline>; asked: Asked }) {
  if (!t.data) {
    return <section class="wide part">{t.failure ? <Failed failure={t.failure} what="The record could not be read." retry={t.reload} /> : <Loading lines={10} />}</section>;
  }
  return <Loaded s={s} t={t.data} asked={asked} reload={t.reload} key={`${t.data.duration}`} />;
}

function Loaded({ s, t, asked, reload }: { s: SessionDetail; t: Timeline; asked: Asked; reload: () => void }) {
  const ch = shownChannel(t, asked.ch);
  const [at, setAt] = useState(() => (several(t) ? standsAt(t, ch, 0) : 0));
  const [playing, setPlaying] = useState(false);
  const [skip, setSkip] = useState(true);
  const [speed, setSpeed] = useState(1);
  const [lost, setLost] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const replay = useRef<Replay | undefined>(undefined);
  const rows = useMemo(() => scriptRows(t, s), [t, s.state]);
  useEffect(() => {
    const index = address(`/api/v1/sessions/${s.id}/replay/index.json`, channelQuery(t, ch));
    setLost(false);
    const r = new Replay(box.current!, index, t.duration, { playing: setPlaying, at: setAt, failed: () => setLost(true) }, { time: at, speed, skipIdle: skip, play: playing });
    r.setIdle(idleOf(t, ch));
    replay.current = r;
    return () => r.dispose();
  }, [s.id, ch]);
  const seek = (to: number) => void replay.current?.seek(to);
  const choose = (next: number, to = standsAt(t, next, at)) => {
    if (next === ch) return seek(to);
    setAt(to);
    asked.onAsk(next);
  };
  // a row of a channel is shown on that channel's screen
  const show = (to: number, of?: number) => (of && shownChannel(t, of) === of ? choose(of, to) : seek(to));
  const toggle = () => void replay.current?.toggle();
  const skipping = (on: boolean) => (setSkip(on), (replay.current!.skipIdle = on));
  const quicker = (by: number) => {
    const next = speeds[Math.min(Math.max(speeds.indexOf(speed) + by, 0), speeds.length - 1)]!;
    setSpeed(next);
    replay.current?.setSpeed(next);
  };
  const onScreen = (of: number | undefined) => !several(t) || of === ch;
  const marks = { cmd: t.commands.filter((c) => onScreen(c.ch)).map((c) => c.at), refused: t.notes.filter((n) => n.kind === 'refused').map((n) => n.at), gap: t.gaps.map((g) => g.at) };
  // without known commands, what was entered is what one jumps between
  const steps = marks.cmd.length ? marks.cmd : rows.filter((r) => r.kind === 'typed' && onScreen(r.ch)).map((r) => r.at);
  const next = (list: number[]) => list.find((x) => x > at + 0.3);
  const before = (list: number[]) => [...list].reverse().find((x) => x < at - 0.7) ?? 0;
  const to = (x: number | undefined) => x !== undefined && seek(x);
  useKeys(
    (e) => {
      if (typing(e) || e.ctrlKey || e.altKey || e.metaKey) return;
      if (e.key === ' ' && e.target instanceof HTMLButtonElement) return;
      if (e.key === 'ArrowRight') e.shiftKey ? to(next(steps)) : seek(at + 5);
      else if (e.key === 'ArrowLeft') e.shiftKey ? to(before(steps)) : seek(at - 5);
      else if (e.key === ' ') toggle();
      else if (e.key === 'n' && marks.refused.length) to(next(marks.refused));
      else if (e.key === ',' || e.key === '.') quicker(e.key === '.' ? 1 : -1);
      else if (e.key === 'i') skipping(!skip);
      else return;
      return true;
    },
    [at, speed, skip, t, ch],
  );
  const clock = clockTime(new Date(+new Date(t.started) + at * 1000));
  return (
    <>
      <section class="stackd" aria-label="Player">
        {isRunning(s) && (
          <div class="banner">
            <span>It is still being recorded. This is what was recorded when the page was loaded.</span>
            <button class="btn" type="button" onClick={reload}>
              Read on
            </button>
          </div>
        )}
        {t.cut && (
          <div class="banner warn" role="status">
            <span>
              <b>The record ends early.</b> {t.cut}
            </span>
          </div>
        )}
        {asked.ch !== undefined && asked.ch !== ch && (
          <div class="banner warn" role="status">
            <span>
              <b>The record has no channel {asked.ch}.</b> This is channel {ch}.
            </span>
          </div>
        )}
        {several(t) && <ChannelChoice s={s} t={t} ch={ch} onChoose={choose} />}
        <div class="player">
          <div class="term" ref={box} role="img" aria-label={`${several(t) ? `Channel ${ch}` : 'Terminal'} at ${clock}. The same text is in the transcript.`} />
          {lost && <p class="lost">The screen cannot be shown here. The transcript has its text.</p>}
          <div class="transport">
            <button class="btn" type="button" aria-label={marks.cmd.length ? 'Back to the command before' : 'Back to the line before'} onClick={() => to(before(steps))}>
              |◀
            </button>
            <button class="btn" type="button" id="play" aria-pressed={playing} onClick={toggle}>
              {playing ? '❚❚ Pause' : '▶ Play'}
            </button>
            <button class="btn" type="button" aria-label={marks.cmd.length ? 'On to the next command' : 'On to the next line'} onClick={() => to(next(steps))}>
              ▶|
            </button>
            <span class="mono nowrap">
              {clock}{' '}
              <span class="k">
                {position(at)} of {position(t.duration)}
              </span>
            </span>
            <button class="btn" type="button" aria-pressed={skip} onClick={() => skipping(!skip)}>
              Skip idle
            </button>
            <button class="btn" type="button" aria-label={`Speed, now ${speed} times`} onClick={() => quicker(speed === speeds[speeds.length - 1] ? -speeds.length : 1)}>
              {speed}×
            </button>
            <span class="k">
              {(marks.refused.length > 0 || marks.gap.length > 0) && 'Next: '}
              {marks.refused.length > 0 && (
                <button class="btn" type="button" onClick={() => to(next(marks.refused))}>
                  refusal
                </button>
              )}
              {marks.gap.length > 0 && (
                <button class="btn" type="button" onClick={() => to(next(marks.gap))}>
                  gap
                </button>
              )}
            </span>
          </div>
          <Lanes t={t} at={at} onSeek={seek} />
        </div>
        {!isRunning(s) && <Whole s={s} />}
      </section>
      <Script s={s} t={t} ch={ch} rows={rows} current={rowAt(rows, at)} onSeek={show} onChoose={choose} />
    </>
  );
}
