// The player: asciinema-player without its own controls. It runs its clock at one speed for its life, so another speed is
// another player that starts where the one before stood.
import { create, type Player } from 'asciinema-player';
import 'asciinema-player/dist/bundle/asciinema-player.css';

export const speeds = [0.5, 1, 2, 4, 8];

export interface PlayerWatcher {
  playing(on: boolean): void;
  at(seconds: number): void;
  failed(): void;
}

interface Events {
  addEventListener(name: 'ready' | 'error' | 'seeked', fn: () => void): void;
}

/** Where a player begins, and how. */
export interface Start {
  time: number;
  speed: number;
  skipIdle: boolean;
  play: boolean;
}

export class Replay {
  private player?: Player;
  private clock?: ReturnType<typeof setInterval>;
  private round = 0;
  private idle: { from: number; to: number }[] = [];
  skipIdle: boolean;
  private speed: number;
  private time: number;
  private playing = false;

  constructor(
    private el: HTMLElement,
    private url: string,
    private duration: number,
    private watcher: PlayerWatcher,
    from: Start,
  ) {
    ({ time: this.time, speed: this.speed, skipIdle: this.skipIdle } = from);
    this.load(from.play);
  }

  setIdle(spans: { from: number; to: number }[]) {
    this.idle = spans;
  }

  private load(play: boolean) {
    const mine = ++this.round;
    this.player?.dispose();
    const src = { url: this.url, format: 'segmented' };
    const p = create(src, this.el, { controls: false, fit: 'both', speed: this.speed, startAt: this.time, preload: true, cursorMode: 'steady', terminalFontFamily: getComputedStyle(this.el).getPropertyValue('--mono'), poster: `npt:${this.time}` });
    this.player = p;
    const on = (fn: () => void) => () => mine === this.round && fn();
    p.addEventListener('playing', on(() => this.set(true)));
    p.addEventListener('play', on(() => this.set(true)));
    p.addEventListener('pause', on(() => this.set(false)));
    p.addEventListener('ended', on(() => this.end()));
    (p as unknown as Events).addEventListener('error', on(() => this.watcher.failed()));
    // what makes these fail is told by the error event
    (play ? p.play() : p.seek(this.time)).catch(() => on(this.watcher.failed)());
  }

  private set(on: boolean) {
    this.playing = on;
    clearInterval(this.clock);
    if (on) this.clock = setInterval(() => void this.tick(), 100);
    this.watcher.playing(on);
  }

  private end() {
    this.time = this.duration;
    this.set(false);
    this.watcher.at(this.time);
  }

  private async tick() {
    const mine = this.round;
    const t = await this.player!.getCurrentTime();
    if (mine !== this.round || !this.playing) return;
    this.time = t;
    this.watcher.at(t);
    const quiet = this.skipIdle && this.idle.find((s) => t >= s.from + 0.5 && t < s.to - 1);
    if (quiet) await this.seek(quiet.to - 0.3);
  }

  async toggle() {
    if (this.playing) {
      await this.act((p) => p.pause());
      return;
    }
    if (this.time >= this.duration - 0.05) await this.seek(0);
    await this.act((p) => p.play());
  }

  async seek(to: number) {
    this.time = Math.min(Math.max(to, 0), this.duration);
    this.watcher.at(this.time);
    await this.act((p) => p.seek(this.time));
  }

  private async act(what: (p: Player) => Promise<unknown>) {
    const mine = this.round;
    try {
      await what(this.player!);
    } catch {
      if (mine === this.round) this.watcher.failed();
    }
  }

  setSpeed(speed: number) {
    if (speed === this.speed) return;
    this.speed = speed;
    const play = this.playing;
    this.set(false);
    this.load(play);
  }

  dispose() {
    this.round++;
    clearInterval(this.clock);
    this.player?.dispose();
  }
}
