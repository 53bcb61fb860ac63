// What a person set for this browser: colours, density, and the terminal's screen reader mode. Kept here only.
const read = (k: string) => {
  try {
    return localStorage.getItem('sallyport.' + k) ?? '';
  } catch {
    return '';
  }
};

export type Setting = 'theme' | 'density' | 'reader';

export function setting(k: Setting): string {
  return new URLSearchParams(location.search).get(k) ?? read(k);
}

export function set(k: Setting, v: string) {
  try {
    localStorage.setItem('sallyport.' + k, v);
  } catch {
    // private windows may have none: the setting lasts as long as the page
  }
  apply(k, v);
}

function apply(k: Setting, v: string) {
  if (k === 'reader') return;
  if (v) document.documentElement.dataset[k] = v;
  else delete document.documentElement.dataset[k];
}

export function applySettings() {
  apply('theme', setting('theme'));
  apply('density', setting('density'));
}
