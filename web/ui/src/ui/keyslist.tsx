// The list of keys.
import { Dialog } from './parts';
import '../styles/dialog.css';

const groups: [string, [string[], string][]][] = [
  ['Everywhere', [[['Ctrl K', '/'], 'find a machine'], [['?'], 'this list'], [['g w'], 'My work'], [['g r'], 'Sessions, Review'], [['g m'], 'Machines'], [['Esc'], 'close the top thing']]],
  ['Lists', [[['j', 'k'], 'move'], [['Enter'], 'open'], [['f'], 'filters'], [['[', ']'], 'pages']]],
  ['Terminal', [[['Ctrl Alt E'], 'end the session (asks)'], [['Ctrl Alt F'], 'find in what is shown'], [['Ctrl Shift C', 'Ctrl Shift V'], 'copy, paste'], [['Ctrl Alt X'], 'leave the terminal']]],
  ['Player', [[['Space'], 'play'], [['←', '→'], '5 s'], [['Shift ←', 'Shift →'], 'command before, after'], [['n', 'g'], 'next refusal, gap'], [[',', '.'], 'speed'], [['i'], 'skip idle']]],
];

export default function KeysDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      {groups.map(([name, keys]) => (
        <section class="part gap-s" key={name}>
          <header>
            <h3>{name}</h3>
          </header>
          <dl class="kv small">
            {keys.map(([k, what]) => (
              <>
                <dt>
                  {k.map((x, i) => (
                    <>
                      {i ? ' ' : ''}
                      <kbd>{x}</kbd>
                    </>
                  ))}
                </dt>
                <dd>{what}</dd>
              </>
            ))}
          </dl>
        </section>
      ))}
    </Dialog>
  );
}
