// The choice of a channel, which only a record with more than one has.
import type { SessionDetail, Timeline } from '../api/types';
import { channelFacts, channelOption, channelsOf } from '../base/channels';
import { isRunning } from '../base/session';
import { upper } from '../base/words';

export function ChannelChoice({ s, t, ch, onChoose }: { s: SessionDetail; t: Timeline; ch: number; onChoose: (ch: number) => void }) {
  const channels = channelsOf(t);
  const of = channels.find((c) => c.ch === ch);
  return (
    <div class="channel">
      <label for="channel">Channel</label>
      <select id="channel" value={String(ch)} aria-describedby="channel-facts" onChange={(e) => onChoose(Number(e.currentTarget.value))}>
        {channels.map((c) => (
          <option value={String(c.ch)} key={c.ch}>
            {channelOption(c)}
          </option>
        ))}
      </select>
      <p class="small muted" id="channel-facts">
        {`${ch} of ${channels.length} in this session. `}
        {of && upper(channelFacts(of, new Date(t.started), isRunning(s)))}
      </p>
    </div>
  );
}
