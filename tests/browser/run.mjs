// Runs the browser tests: `node run.mjs [--mock] [--shots DIR] [node's test options]`. Without SALLYPORT_READY_FILE a demo is started.
import { spawnSync } from 'node:child_process';

const env = { ...process.env };
const rest = [];
for (let args = process.argv.slice(2); args.length; args = args.slice(1)) {
  if (args[0] === '--mock') env.SALLYPORT_MOCK = '1';
  else if (args[0] === '--shots') ((env.SALLYPORT_SCREENSHOTS = args[1]), (args = args.slice(1)));
  else rest.push(args[0]);
}
const { status } = spawnSync(process.execPath, ['--test', ...rest, 'app.test.mjs'], { cwd: import.meta.dirname, env, stdio: 'inherit' });
process.exit(status ?? 1);
