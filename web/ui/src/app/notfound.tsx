import { Empty } from '../ui/parts';
import { useTitle } from '../ui/title';

/** What does not exist and what one may not see read the same. */
export default function NotFound() {
  useTitle('Nothing here');
  return (
    <main id="main" class="page">
      <header class="head">
        <h1 tabIndex={-1}>Nothing here</h1>
      </header>
      <Empty title="No page of this address is visible to you.">
        <p>It may have been typed wrong, or belong to somebody else.</p>
        <a class="btn" href="/">
          Go to the first page
        </a>
      </Empty>
    </main>
  );
}
