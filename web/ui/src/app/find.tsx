// Find a machine, as a page: on a narrow window there is no room for a dialog over another.
import { Finder, useFinder } from '../ui/finder';
import { OfflineBanner } from '../ui/online';
import { useTitle } from '../ui/title';
import { go } from './router';

export default function Find() {
  useTitle('Find a machine');
  const f = useFinder(25, go);
  return (
    <main id="main" class="page">
      <OfflineBanner />
      <header class="head">
        <h1 tabIndex={-1}>Find a machine</h1>
      </header>
      <form class="stackd half" role="search" aria-label="Machines" onSubmit={(e) => (e.preventDefault(), f.submit())}>
        <Finder f={f} />
      </form>
    </main>
  );
}
