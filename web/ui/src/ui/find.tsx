// Find a machine, over any page.
import { Finder, useFinder } from './finder';
import { Dialog } from './parts';
import '../styles/dialog.css';

export default function FindDialog({ onClose, go }: { onClose: () => void; go: (href: string) => void }) {
  const f = useFinder(8, (href) => (onClose(), go(href)));
  return (
    <Dialog title="Find a machine" onClose={onClose} onSubmit={f.submit}>
      <Finder f={f} />
    </Dialog>
  );
}
