/// <reference types="vitest/config" />
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import browserslist from 'browserslist';
import { browserslistToTargets } from 'lightningcss';
import { defineConfig, type Plugin } from 'vite';

const out = join(import.meta.dirname, '../dist');
// Plant laptops are old: light-dark(), nesting and the like are lowered for these.
const oldest = ['chrome 100', 'edge 100', 'firefox 100', 'safari 15.4'];

export default defineConfig({
  build: {
    outDir: out,
    emptyOutDir: false, // the gateway's placeholder stays; see tidy
    target: ['chrome100', 'edge100', 'firefox100', 'safari15.4'],
    cssMinify: 'lightningcss',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the documents' policies allow no data: addresses
    rolldownOptions: {
      input: ['index.html', 'live.html', 'replay.html'].map((f) => join(import.meta.dirname, f)),
      output: { codeSplitting: { groups: [{ name: 'preact', test: /node_modules\/preact\// }] } }, // sign-in needs it and little else
    },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 800,
  },
  css: { transformer: 'lightningcss', lightningcss: { targets: browserslistToTargets(browserslist(oldest)) } },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [tidy(), gzip()],
  test: { include: ['src/**/*.test.ts'], testTimeout: 60_000 }, // a bound for a busy machine, no verdict
});

/** Removes what an earlier build left, and nothing else. */
function tidy(): Plugin {
  return {
    name: 'tidy',
    apply: 'build',
    buildStart() {
      for (const name of readdirSync(out)) {
        if (name !== 'placeholder.txt' && name !== '.gitignore') rmSync(join(out, name), { recursive: true });
      }
    },
  };
}

/** Puts a compressed copy beside each file that gets smaller by it: the gateway sends it as it is. */
function gzip(): Plugin {
  return {
    name: 'gzip',
    apply: 'build',
    closeBundle() {
      for (const file of files(out)) {
        if (!/\.(html|js|css|svg|wasm)$/.test(file)) continue;
        const plain = readFileSync(file);
        const small = gzipSync(plain, { level: 9 });
        if (small.length < plain.length * 0.9) writeFileSync(file + '.gz', small);
      }
    },
  };
}

function files(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
}
