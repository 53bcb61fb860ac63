// The gateway that is tested: one that runs (SALLYPORT_READY_FILE names its ready-file), the stand-in (SALLYPORT_MOCK=1),
// or else a demo of our own, which is stopped at the end.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const program = join(import.meta.dirname, '../../bin/sallyport');

export async function gateway() {
  if (process.env.SALLYPORT_MOCK) {
    const { startMock } = await import('./mock.mjs');
    const m = await startMock();
    return { ...m.ready, mock: true, stop: m.stop };
  }
  if (process.env.SALLYPORT_READY_FILE) return { ...JSON.parse(readFileSync(process.env.SALLYPORT_READY_FILE, 'utf8')), stop: async () => {} };
  return demo();
}

async function demo() {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-browser-'));
  chmodSync(dir, 0o711); // shells run as another user and have their homes below
  const ready = join(dir, 'ready.json');
  const p = spawn(program, ['demo', '--dir', join(dir, 'demo'), '--http', '127.0.0.1:0', '--ready-file', ready], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  p.stdout.on('data', (d) => (said += d));
  p.stderr.on('data', (d) => (said += d));
  const gone = new Promise((done) => p.on('exit', done));
  const stop = async () => {
    p.kill('SIGTERM');
    await gone;
    rmSync(dir, { recursive: true, force: true });
  };
  for (const end = Date.now() + 60_000; !existsSync(ready); ) {
    if (p.exitCode !== null || Date.now() > end) {
      await stop();
      throw new Error(`the demo did not get ready:\n${said}`);
    }
    await new Promise((r) => setTimeout(r, 100));
  }
  return { ...JSON.parse(readFileSync(ready, 'utf8')), stop };
}
