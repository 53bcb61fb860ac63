// The screen: xterm, with the colours of the tokens, the widths of Unicode's grapheme clusters, and find.
import { Terminal, type ITheme } from '@xterm/xterm';
import { FitAddon } from '@xterm/addon-fit';
import { UnicodeGraphemesAddon } from '@xterm/addon-unicode-graphemes';
import type { SearchAddon } from '@xterm/addon-search';
import '@xterm/xterm/css/xterm.css';

export interface ScreenKeys {
  end(): void;
  find(): void;
  leave(): void;
}

export interface ScreenOptions {
  reader: boolean;
  keys: ScreenKeys;
  typed(text: string): void;
  bytes(b: Uint8Array): void;
  sized(cols: number, rows: number): void;
}

export class Screen {
  readonly term: Terminal;
  private fitting = new FitAddon();
  private watch: ResizeObserver;
  private search?: Promise<SearchAddon>;

  constructor(at: HTMLElement, o: ScreenOptions) {
    const style = getComputedStyle(document.documentElement);
    this.term = new Terminal({
      allowProposedApi: true, // the widths of grapheme clusters
      cursorBlink: false,
      fontFamily: style.getPropertyValue('--mono'),
      fontSize: 13,
      lineHeight: 1.25,
      scrollback: 10_000,
      screenReaderMode: o.reader,
      macOptionIsMeta: true,
      rightClickSelectsWord: false,
      theme: theme(style),
    });
    this.term.loadAddon(this.fitting);
    this.term.loadAddon(new UnicodeGraphemesAddon());
    this.term.open(at);
    this.term.attachCustomKeyEventHandler((e) => this.key(e, o.keys));
    this.term.onData(o.typed);
    this.term.onBinary((s) => o.bytes(Uint8Array.from(s, (c) => c.charCodeAt(0))));
    this.fit();
    this.term.onResize(({ cols, rows }) => o.sized(cols, rows));
    let due = 0;
    this.watch = new ResizeObserver(() => {
      cancelAnimationFrame(due);
      due = requestAnimationFrame(() => this.fit());
    });
    this.watch.observe(at);
    void this.quicker();
  }

  get size() {
    return { cols: this.term.cols, rows: this.term.rows };
  }

  fit() {
    this.fitting.fit();
  }

  write(bytes: Uint8Array) {
    this.term.write(bytes);
  }

  focus() {
    this.term.focus();
  }

  /** After the end nothing is typed, and nothing blinks. */
  freeze() {
    this.term.options.disableStdin = true;
    this.term.options.cursorInactiveStyle = 'none';
    this.term.blur();
  }

  async find(text: string, back: boolean): Promise<boolean> {
    const search = await (this.search ??= this.loadSearch());
    return back ? search.findPrevious(text) : search.findNext(text);
  }

  /** Loads what finds, once: of two searches the later one must be answered last. */
  private async loadSearch(): Promise<SearchAddon> {
    try {
      const search = new (await import('@xterm/addon-search')).SearchAddon();
      this.term.loadAddon(search);
      return search;
    } catch (e) {
      this.search = undefined; // the next search tries again
      throw e;
    }
  }

  dispose() {
    this.watch.disconnect();
    this.term.dispose();
  }

  /** Everything goes to the machine except these. AltGr reads as Ctrl Alt on some layouts and types a character: that goes too. */
  private key(e: KeyboardEvent, keys: ScreenKeys): boolean {
    if (e.type !== 'keydown' || e.getModifierState('AltGraph')) return true;
    const k = e.key.toLowerCase();
    let used = true;
    if (e.ctrlKey && e.altKey && k === 'e') keys.end();
    else if (e.ctrlKey && e.altKey && k === 'f') keys.find();
    else if (e.ctrlKey && e.altKey && k === 'x') keys.leave();
    else if (e.ctrlKey && e.shiftKey && !e.altKey && k === 'c') void this.copy();
    else used = false;
    if (used) e.preventDefault();
    // Ctrl Shift V is the browser's own paste: its event brings the text
    return !used && !(e.ctrlKey && e.shiftKey && !e.altKey && k === 'v');
  }

  private async copy() {
    const text = this.term.getSelection();
    if (text) await navigator.clipboard?.writeText(text);
  }

  /** Draws with WebGL where that is done by hardware; in software the DOM is quicker. */
  private async quicker() {
    if (!hardware()) return;
    const { WebglAddon } = await import('@xterm/addon-webgl');
    try {
      const gl = new WebglAddon();
      gl.onContextLoss(() => gl.dispose());
      this.term.loadAddon(gl);
    } catch {
      // the DOM draws as well
    }
  }
}

function hardware(): boolean {
  const gl = document.createElement('canvas').getContext('webgl2', { failIfMajorPerformanceCaveat: true });
  const info = gl?.getExtension('WEBGL_debug_renderer_info');
  const name = gl && info ? String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)) : '';
  gl?.getExtension('WEBGL_lose_context')?.loseContext();
  return name !== '' && !/swiftshader|llvmpipe|software|basic render/i.test(name);
}

function theme(style: CSSStyleDeclaration): ITheme {
  const c = (name: string) => style.getPropertyValue(name).trim();
  const ink = c('--term-ink');
  const colours = { black: c('--strip-line'), red: c('--term-red'), green: c('--term-green'), yellow: c('--term-yellow'), blue: c('--term-blue'), magenta: c('--term-sealed'), cyan: c('--term-blue'), white: ink };
  return {
    background: c('--term'),
    foreground: ink,
    cursor: ink,
    cursorAccent: c('--term'),
    selectionBackground: c('--strip-muted'),
    selectionForeground: c('--term'),
    ...colours,
    brightBlack: c('--term-dim'),
    brightRed: colours.red,
    brightGreen: colours.green,
    brightYellow: colours.yellow,
    brightBlue: colours.blue,
    brightMagenta: colours.magenta,
    brightCyan: colours.cyan,
    brightWhite: c('--strip-ink'),
  };
}
