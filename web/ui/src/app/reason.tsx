// What a session was for, in a list.
import type { Session } from '../api/types';
import { commandLine } from '../base/words';

/** The reason given, else what ran: one line, whole in its title. */
export function Reason({ s }: { s: Session }) {
  if (s.purpose) {
    return (
      <span class="line" title={s.purpose}>
        {s.purpose}
      </span>
    );
  }
  const ran = commandLine(s.argv ?? []);
  return ran ? (
    <code class="line" title={ran}>
      {ran}
    </code>
  ) : (
    <span class="muted">none given</span>
  );
}
