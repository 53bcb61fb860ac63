// Requests: what waits for an answer first, then all that one may see.
import { body, client } from '../api/client';
import type { Proposal, Request } from '../api/types';
import { proposalTitle } from '../base/proposals';
import { pageCount, pageOf } from '../base/pages';
import { minutesText, missing, requestShown } from '../base/requests';
import { places } from '../base/session';
import { sinceText, untilText } from '../base/time';
import { plural } from '../base/words';
import { useData } from '../ui/data';
import { useListKeys } from '../ui/keyboard';
import { OfflineBanner } from '../ui/online';
import { Empty, Failed, Loading, Shows, StackTable, Time } from '../ui/parts';
import { useTitle } from '../ui/title';
import type { PageProps } from './inside';

const size = 25;

export default function Requests({ me, at }: PageProps) {
  const title = places(me).find((p) => p.href === '/requests')?.text ?? 'Requests';
  useTitle(title);
  useListKeys();
  const page = pageOf(at.searchParams.get('page'));
  const waiting = useData(() => body(client.GET('/api/v1/requests', { params: { query: { answer: true, page: 1, size: 100 } } })), [], 5000);
  const all = useData(() => body(client.GET('/api/v1/requests', { params: { query: { page, size } } })), [page], 5000);
  const review = useData(() => body(client.GET('/api/v1/requests', { params: { query: { to_review: true, page: 1, size: 100 } } })), [], 5000);
  const sees = me.duties.includes('administer') || me.duties.includes('review');
  const proposed = useData(() => (sees ? body(client.GET('/api/v1/proposals')) : Promise.resolve([])), [sees], sees ? 5000 : 0);
  const failure = waiting.failure ?? all.failure ?? proposed.failure;
  return (
    <main id="main" class="page">
      <OfflineBanner />
      <header class="head">
        <h1 tabIndex={-1}>{title}</h1>
      </header>
      {failure && <Failed failure={failure} what="Requests could not be read." retry={all.reload} />}
      {!all.data && !failure && <Loading lines={6} />}
      {!!proposed.data?.length && <Proposals list={proposed.data} />}
      {!!waiting.data?.requests?.length && <List id="waiting" title="Waiting for your answer" list={waiting.data.requests} />}
      {!!review.data?.requests?.length && <List id="review" title="Emergencies without a review" list={review.data.requests} />}
      {all.data && !all.data.total && !proposed.data?.length && <None />}
      {!!all.data?.requests?.length && <List id="all" title={waiting.data?.requests?.length ? 'All requests' : undefined} list={all.data.requests} />}
      {!!all.data?.total && <Pager total={all.data.total} page={page} />}
    </main>
  );
}

const None = () => (
  <Empty title="There are no requests that you can see.">
    <p>A machine's page shows what you can request there. Requests that you can answer appear here at once.</p>
    <a class="btn" href="/machines">
      Machines
    </a>
  </Empty>
);

function Pager({ total, page }: { total: number; page: number }) {
  const last = pageCount(total, size);
  return (
    <div class="pager">
      <span>{plural(total, 'request')}</span>
      {last > 1 && (
        <span class="btns">
          {page > 1 && (
            <a class="btn" href={`/requests?page=${page - 1}`}>
              Newer
            </a>
          )}
          {page < last && (
            <a class="btn" href={`/requests?page=${page + 1}`}>
              Older
            </a>
          )}
        </span>
      )}
    </div>
  );
}

function Proposals({ list }: { list: Proposal[] }) {
  return (
    <section class="part" aria-label="Changes that wait for a second administrator">
      <header class="bare">
        <h2>Changes that wait for a second administrator</h2>
      </header>
      <div class="scroll" tabIndex={0} role="region" aria-label="Proposals">
        <StackTable kind="s" id="proposals" caption="Proposals, newest first">
          <thead>
            <tr>
              <th scope="col">Change</th>
              <th scope="col">Proposed by</th>
              <th scope="col">Proposed</th>
              <th scope="col">Gives</th>
              <th scope="col">Reason given</th>
            </tr>
          </thead>
          <tbody>
            {list.map((p) => (
              <tr key={p.id}>
                <th scope="row" class="c1 r1">
                  <a class="t" href={`/proposals/${p.id}`} data-row>
                    {proposalTitle(p)}
                  </a>
                </th>
                <td class="c1 r2">{p.mine ? 'you' : p.by}</td>
                <td class="c2 r1">
                  <Time at={p.at} as={sinceText} />
                </td>
                <td class="c2 r2">
                  {plural(p.count, 'gain')}, {plural(p.devices, 'machine')}
                </td>
                <td class="c1 r3">{p.reason || <span class="muted">none given</span>}</td>
              </tr>
            ))}
          </tbody>
        </StackTable>
      </div>
    </section>
  );
}

function List({ id, title, list }: { id: string; title?: string; list: Request[] }) {
  return (
    <section class="part" aria-label={title ?? 'Requests'}>
      {title && (
        <header class="bare">
          <h2>{title}</h2>
        </header>
      )}
      <div class="scroll" tabIndex={0} role="region" aria-label={title ?? 'Requests found'}>
        <StackTable kind="s" id={id} caption="Requests, newest first">
          <thead>
            <tr>
              <th scope="col">Machine</th>
              <th scope="col">Requested by</th>
              <th scope="col">Requested</th>
              <th scope="col">For</th>
              <th scope="col">Reason given</th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <tbody>
            {list.map((q) => (
              <Row q={q} key={q.id} />
            ))}
          </tbody>
        </StackTable>
      </div>
    </section>
  );
}

function Row({ q }: { q: Request }) {
  return (
    <tr>
      <th scope="row" class="c1 r1">
        <a class="t" href={`/requests/${q.id}`} data-row>
          {q.device}
        </a>
        <span class="sub">{q.site || 'no site'}</span>
      </th>
      <td class="c1 r2">
        {q.mine ? 'you' : q.by}
        {q.login && (
          <span class="sub">
            as <code>{q.login}</code>
          </span>
        )}
      </td>
      <td class="c2 r1">
        <Time at={q.created} as={sinceText} />
      </td>
      <td class="c2 r2">{minutesText(q.minutes)}</td>
      <td class="why">
        <span class="line" title={q.reason}>
          {q.reason || <span class="muted">none given</span>}
        </span>
        {q.ticket && <span class="sub">{q.ticket}</span>}
      </td>
      <td class="c1">
        <Shows of={requestShown(q)} />
        {q.state === 'pending' && (
          <span class="sub">
            {missing(q.needs ?? [])}, <Time at={q.expires} as={untilText} />
          </span>
        )}
      </td>
    </tr>
  );
}
