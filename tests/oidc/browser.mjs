// What sign-in needs of a browser: it keeps cookies, follows redirects and submits the forms of pages.
const unescape = (s) => s.replace(/&#(\d+);/g, (_, n) => String.fromCharCode(n)).replaceAll('&quot;', '"').replaceAll('&amp;', '&');

export class Browser {
  cookies = new Map();

  async open(address, options = {}) {
    for (let hops = 0; hops < 10; hops++) {
      const headers = { ...options.headers, cookie: [...this.cookies].map(([k, v]) => `${k}=${v}`).join('; ') };
      const res = await fetch(address, { ...options, headers, redirect: 'manual' });
      for (const c of res.headers.getSetCookie()) {
        const [, name, value] = c.match(/^([^=]+)=([^;]*)/);
        /max-age=0|expires=thu, 01 jan 1970/i.test(c) ? this.cookies.delete(name) : this.cookies.set(name, value);
      }
      [this.at, this.status, this.body] = [new URL(address), res.status, await res.text()];
      const to = res.headers.get('location');
      if (!to) return this;
      [address, options] = [new URL(to, address), {}];
    }
    throw new Error('more than ten redirects');
  }

  // submit sends the page's form with its hidden fields and with what is given, as a person would.
  submit(fields) {
    const action = this.body.match(/<form[^>]* action="([^"]*)"/);
    if (!action) throw new Error(`no form at ${this.at} (${this.status}): ${this.body}`);
    const body = new URLSearchParams();
    for (const [, name, value] of this.body.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)) body.set(name, unescape(value));
    for (const [name, value] of Object.entries(fields)) body.set(name, value);
    return this.open(new URL(unescape(action[1]), this.at), { method: 'POST', body, headers: { 'sec-fetch-site': 'same-origin' } });
  }
}
