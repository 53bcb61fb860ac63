// The review of an emergency: when it is due, what the officer found, and the form for whoever can review it now.
import { useState } from 'preact/hooks';
import { body, client, type Failure } from '../api/client';
import type { Request } from '../api/types';
import { asFailure } from '../ui/data';
import { useOnline } from '../ui/online';
import { Failed, St, Time } from '../ui/parts';
import { toast } from '../ui/toast';

type Found = NonNullable<Request['review']>;

export function Review({ q, review, onDone }: { q: Request; review: Found; onDone: () => void }) {
  return (
    <section class="part" aria-labelledby="review-h" id="review">
      <header>
        <h2 id="review-h">Review</h2>
        <State review={review} />
      </header>
      {review.at ? (
        <p>
          <Time at={review.at} /> by {review.by}: {review.note}
        </p>
      ) : (
        <p class="muted">A person with the duty review must review this grant after it has ended. The holder and its approvers cannot.</p>
      )}
      <p>
        <a href={`/sessions?device=${encodeURIComponent(q.device)}`}>Sessions on {q.device}</a>
      </p>
      {review.may_review && <Form q={q} onDone={onDone} />}
    </section>
  );
}

function State({ review }: { review: Found }) {
  if (review.at) return <St shape="ok">reviewed</St>;
  return (
    <St shape={review.overdue ? 'bad' : 'wait'}>
      {review.overdue ? 'overdue since' : 'due'} <Time at={review.due} />
    </St>
  );
}

function Form({ q, onDone }: { q: Request; onDone: () => void }) {
  const online = useOnline();
  const [failure, fail] = useState<Failure | undefined>();
  const [busy, setBusy] = useState(false);
  const submit = async (e: { preventDefault: () => void; currentTarget: HTMLFormElement }) => {
    e.preventDefault();
    const note = String(new FormData(e.currentTarget).get('note') ?? '').trim();
    setBusy(true);
    try {
      await body(client.POST('/api/v1/grants/{id}/review', { params: { path: { id: q.id } }, body: { note } }));
      toast('Review recorded.');
      onDone();
    } catch (err) {
      fail(asFailure(err));
      setBusy(false);
    }
  };
  return (
    <form onSubmit={submit}>
      {failure && <Failed failure={failure} what="Nothing was stored." />}
      <div class="field">
        <label for="note">What did you find?</label>
        <textarea id="note" name="note" rows={2} maxLength={500} required />
      </div>
      <div class="btns">
        <button class="btn" disabled={busy || !online}>
          Record review
        </button>
      </div>
    </form>
  );
}
