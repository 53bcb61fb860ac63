import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import openapiTS, { astToString } from 'openapi-typescript';
import { expect, test } from 'vitest';

test('the types are those of the API as it is described', { timeout: 60_000 }, async () => {
  const api = new URL('../../../api/openapi.yaml', import.meta.url);
  const want = astToString(await openapiTS(api));
  const got = readFileSync(join(import.meta.dirname, 'schema.d.ts'), 'utf8');
  expect(got.includes(want.trim()), 'run: npm run api').toBe(true);
});
