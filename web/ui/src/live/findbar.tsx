// Find in what the terminal shows.
import { useEffect, useRef, useState } from 'preact/hooks';

export function FindBar({ find, onClose }: { find: (text: string, back: boolean) => Promise<boolean>; onClose: () => void }) {
  const box = useRef<HTMLInputElement>(null);
  const [none, setNone] = useState(false);
  useEffect(() => box.current?.focus(), []);
  const newest = useRef(0); // an answer to an earlier search does not count
  const look = async (back: boolean) => {
    const text = box.current!.value;
    if (!text) return;
    const mine = ++newest.current;
    const found = await find(text, back);
    if (mine === newest.current) setNone(!found);
  };
  return (
    <form
      class="findbar"
      role="search"
      onSubmit={(e) => (e.preventDefault(), void look(true))}
      onKeyDown={(e) => {
        if (e.key === 'Escape') onClose();
      }}
    >
      <label class="vh" for="tfind">
        Find in the terminal
      </label>
      <input id="tfind" ref={box} type="search" autocomplete="off" placeholder="Find in the terminal" />
      <button class="btn">Older</button>
      <button class="btn" type="button" onClick={() => look(false)}>
        Newer
      </button>
      <button class="btn" type="button" onClick={onClose}>
        Close
      </button>
      <span role="status">{none ? 'Not found.' : ''}</span>
    </form>
  );
}
