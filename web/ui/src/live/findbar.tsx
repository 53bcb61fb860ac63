// Find in what the terminal shows.
import { useEffect, useRef, useState } from 'preact/hooks';

export function FindBar({ find, onClose }: { find: (text: string, back: boolean) => Promise<boolean>; onClose: () => void }) {
  const box = useRef<HTMLInputElement>(null);
  const [none, setNone] = useState(false);
  useEffect(() => box.current?.focus(), []);
  const look = async (back: boolean) => {
    const text = box.current!.value;
    if (text) setNone(!(await find(text, back)));
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
