// What was done, said for six seconds. Anything that matters also stands in the page.
import { store, useStore } from './store';

interface Toast {
  id: number;
  text: string;
}

const toasts = store<Toast[]>([]);
let last = 0;

export function toast(text: string) {
  const id = ++last;
  toasts.set([...toasts.get(), { id, text }]);
  setTimeout(() => toasts.set(toasts.get().filter((t) => t.id !== id)), 6000);
}

export function Toasts() {
  const list = useStore(toasts);
  return (
    <div class="toasts" role="status">
      {list.map((t) => (
        <div class="toast" key={t.id}>
          {t.text}
        </div>
      ))}
    </div>
  );
}
