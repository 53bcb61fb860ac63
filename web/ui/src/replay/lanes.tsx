// The lanes: one picture of attributes, over it a real slider. Everything in a lane is a row of the transcript too.
import { useMemo } from 'preact/hooks';
import type { Timeline } from '../api/types';
import { axis, laneHeight, laneRects, lanesOf, width } from '../base/lanes';
import { clockTime, hourMinute, spoken } from '../base/time';

const kinds = { in: 'ln-in', seal: 'ln-seal', cmd: 'ln-cmd', bad: 'ln-bad', gap: 'ln-gap', idle: 'ln-idle', open: 'ln-open' };

export function Lanes({ t, at, onSeek }: { t: Timeline; at: number; onSeek: (to: number) => void }) {
  const { lanes, rects } = useMemo(() => {
    const all = lanesOf(t);
    return { lanes: all, rects: laneRects(t, all) };
  }, [t]);
  const height = laneHeight * lanes.length;
  const began = +new Date(t.started);
  const clock = (s: number) => clockTime(new Date(began + s * 1000));
  const head = (at / Math.max(t.duration, 0.001)) * width;
  const long = t.duration > 600;
  return (
    <div class="lanes" style={{ '--lanes': lanes.length }}>
      <ol aria-label="Lanes">
        {lanes.map((l) => (
          <li key={l.name}>
            {l.name} <b>{l.number}</b>
          </li>
        ))}
      </ol>
      <div class="track">
        <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
          {lanes.map((l, i) => (
            <path class="ln-base" d={`M0 ${(i + 1) * laneHeight - 0.5}H${width}`} key={l.name} />
          ))}
          {rects.map((r, i) => (
            <rect class={kinds[r.kind]} x={r.x} y={r.y} width={r.w} height={r.h} key={i} />
          ))}
          <path class="ln-head" d={`M${Math.min(head, width - 1)} 0V${height}`} />
        </svg>
        <input
          type="range"
          id="position"
          min={0}
          max={Math.ceil(t.duration)}
          step={0.1}
          value={at}
          aria-label="Position in the recording"
          aria-valuetext={`${clock(at)}, ${spoken(at)} of ${spoken(t.duration)}`}
          onInput={(e) => onSeek(Number(e.currentTarget.value))}
          onKeyDown={(e) => {
            // the arrows are the player's, 5 s each
            if (e.key.startsWith('Arrow') || e.key === ' ') e.preventDefault();
          }}
        />
        <div class="axis" aria-hidden="true">
          {axis(t.duration).map((s) => (
            <span key={s}>{long ? hourMinute(new Date(began + s * 1000)) : clock(s)}</span>
          ))}
        </div>
      </div>
    </div>
  );
}
