// A live session as the page knows it: from the wish to its end. One owner of the screen, the line and what is said.
import { body, client, Failure } from '../api/client';
import { missing } from '../base/requests';
import { endedText, isLive } from '../base/session';
import { clockTime, hourMinute } from '../base/time';
import { sentence } from '../base/words';
import { now } from '../ui/clock';
import { asFailure } from '../ui/data';
import { store } from '../ui/store';
import type { Wish } from './before';
import { Line, type Control } from './line';
import { Screen, type ScreenKeys } from './screen';
import { warningBetween } from './warnings';

export interface Said {
  id: number;
  title: string;
  text: string;
  urgent: boolean;
  about?: 'end' | 'asked'; // the end comes near, or more time was asked for; it stays until there is more time
}

export interface Live extends Wish {
  phase: 'asking' | 'opening' | 'live' | 'ended' | 'lost' | 'refused';
  id?: string;
  rule?: string;
  began?: Date;
  until?: Date;
  over?: Date;
  why?: string; // it ended
  status?: number;
  failure?: Failure;
  notice: string[];
  said: Said[];
}

export class Running {
  readonly state;
  screen?: Screen;
  private line?: Line;
  private told?: string; // why it ends, in the gateway's words
  private saids = 0;
  private clock?: ReturnType<typeof setInterval>;
  private asking = false; // for more time

  constructor(wish: Wish) {
    this.state = store<Live>({ ...wish, phase: 'asking', notice: [], said: [] });
  }

  private set(change: Partial<Live>) {
    this.state.set({ ...this.state.get(), ...change });
  }

  /** Shows the screen, asks for the session in its size, and connects. */
  async start(at: HTMLElement, keys: ScreenKeys, reader: boolean) {
    this.screen = new Screen(at, {
      reader,
      keys,
      typed: (t) => this.line?.type(t),
      bytes: (b) => this.line?.bytes(b),
      sized: (cols, rows) => this.line?.resize(cols, rows),
    });
    const { device, login, purpose, ticket } = this.state.get();
    try {
      const t = await body(client.POST('/api/v1/sessions', { body: { device, login: login || undefined, pty: true, ...this.screen.size, term: 'xterm-256color', lang: 'C.UTF-8', purpose: purpose || undefined, ticket: ticket || undefined, front: 'browser' } }));
      history.replaceState(null, '', `/live/${t.session}`);
      this.set({ phase: 'opening', id: t.session, login: t.login, rule: t.rule, notice: t.notice, until: known(t.until) });
      this.line = new Line(t.socket, t.ticket, { control: (c) => this.control(c), output: (b) => this.screen!.write(b), closed: (clean) => this.closed(clean) });
    } catch (e) {
      this.set({ phase: 'refused', failure: asFailure(e) });
    }
  }

  end() {
    if (this.state.get().phase === 'live') {
      this.line?.end();
      void this.endOthers();
      return;
    }
    this.finish('ended', 'You ended it before it began.');
    this.line?.close();
  }

  private control(c: Control) {
    switch (c.t) {
      case 'ready':
        this.ready(c);
        return;
      case 'notice':
        if (c.kind === 'ended') this.told = c.text;
        else if (c.kind === 'more-time') void this.moreTime(true);
        else if (c.kind === 'renewed') void this.renewed();
        else if (c.kind !== 'time') this.say(c.kind === 'refused' ? 'Refused:' : '', sentence(c.text ?? ''), false); // time: our own clock says it, in local time
        return;
      case 'exit':
        this.finish('ended', this.endText(c), c.status);
        if (c.reason === 'exit') void this.watchOthers();
        return;
      case 'error':
        this.screen?.freeze();
        this.set({
          phase: 'refused',
          failure: new Failure({ title: 'Refused', status: 0, reason: c.reason ?? 'internal', detail: c.text ?? 'the session was not started', hint: c.hint }),
        });
    }
  }

  private ready(c: Control) {
    this.set({ phase: 'live', began: now(), until: known(c.until) });
    const { cols, rows } = this.screen!.size;
    this.line!.resize(cols, rows); // the window may have changed while the machine was asked
    this.screen!.focus();
    let last = +now();
    this.clock = setInterval(() => {
      const { until } = this.state.get(); // more time moves it
      const w = until && warningBetween(last, +now(), +until);
      last = +now();
      if (w) this.say('', w.text, w.minutes === 1, 'end');
    }, 1000);
  }

  /** Requests more time. If it is allowed already, the session gets it. With take nothing is requested. */
  async moreTime(take = false) {
    if (this.asking) return;
    this.asking = true;
    try {
      const t = await body(client.POST('/api/v1/sessions/{id}/more-time', { params: { path: { id: this.state.get().id! } }, body: { take } }));
      if (t.extended) this.goesOn(known(t.until));
      else if (t.request) this.say('More time requested.', `The request waits for ${missing(t.request.needs)}.`, false, 'asked');
    } catch (e) {
      const f = asFailure(e);
      this.say('More time refused:', [sentence(f.message), f.problem.hint].filter(Boolean).join(' '), false);
    } finally {
      this.asking = false;
    }
  }

  /** The session has its next pass, also if another window asked for it. */
  private async renewed() {
    const s = await this.session().catch(() => undefined);
    if (s) this.goesOn(known(s.until ?? undefined));
  }

  private goesOn(until: Date | undefined) {
    if (!until || +until === +(this.state.get().until ?? 0)) return;
    this.set({ until, said: this.state.get().said.filter((s) => !s.about) });
    this.say('More time:', `the session continues until ${hourMinute(until)}.`, false);
  }

  private endText(c: Control): string {
    if (c.reason === 'exit' || !c.reason) {
      if (c.signal) return `The shell was ended by SIG${c.signal}.`;
      return c.status ? `The shell ended with exit status ${c.status}.` : 'The shell ended.';
    }
    return sentence(this.told ?? endedText(c.reason));
  }

  private session = () => body(client.GET('/api/v1/sessions/{id}', { params: { path: { id: this.state.get().id! } } }));

  /** The line ends only its own channel, and a person who ends the session means all of it. */
  private async endOthers() {
    try {
      const s = await this.session();
      if (isLive(s) && s.more_channels) await body(client.POST('/api/v1/sessions/{id}/end', { params: { path: { id: s.id } }, body: {} }));
    } catch (e) {
      if (asFailure(e).status !== 409) void this.watchOthers(); // 409: it has ended
    }
  }

  /** A session outlives its terminal while another of its channels runs. The page says so until it has ended. */
  private async watchOthers() {
    const why = this.state.get().why;
    for (let more = true; more; ) {
      await new Promise((go) => setTimeout(go, 2000)); // the last channel takes its session along, not at the same moment
      const s = await this.session().catch(() => undefined);
      if (s && !s.more_channels) return;
      more = !s || isLive(s);
      if (s) this.set({ why: more ? `${why} The session goes on: another of its channels runs.` : why });
    }
  }

  private closed(clean: boolean) {
    const { phase } = this.state.get();
    if (clean || phase === 'refused' || phase === 'ended') return;
    if (phase === 'live') {
      this.finish('lost', `The line to the gateway dropped at ${clockTime(now())}. The session has ended with it: a session without its line is not held.`);
      return;
    }
    this.set({ phase: 'refused', failure: new Failure({ title: 'Lost', status: 0, reason: 'unavailable', detail: 'the line to the gateway dropped while the session was being opened', hint: 'Open it again.' }) });
  }

  private finish(phase: 'ended' | 'lost', why: string, status?: number) {
    clearInterval(this.clock);
    this.screen?.freeze();
    this.set({ phase, why, status, over: now(), said: [] });
  }

  say(title: string, text: string, urgent: boolean, about?: Said['about']) {
    const id = ++this.saids;
    this.set({ said: [...this.state.get().said.slice(-2), { id, title, text, urgent, about }] });
    if (!urgent && !about) setTimeout(() => this.unsay(id), 20_000);
  }

  unsay(id: number) {
    this.set({ said: this.state.get().said.filter((s) => s.id !== id) });
  }
}

/** An absent time means never, however it is written. */
function known(t: string | undefined): Date | undefined {
  const d = t ? new Date(t) : undefined;
  return d && d.getFullYear() > 2000 ? d : undefined;
}
