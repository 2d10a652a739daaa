// The official audit of GraphQL over HTTP, against a running shop.
//
//   node tests/browser/audit.mjs http://127.0.0.1:8000/graphql
//
// Needs graphql-http and graphql, found in the folder that SAVANNAH_BROWSER_MODULES names (the one npm installed into),
// by NODE_PATH, or beside this file.

import { createRequire } from 'node:module';
import { join } from 'node:path';

const LIMIT = 60_000;

const [url] = process.argv.slice(2);
if (!url) {
  console.error('usage: node tests/browser/audit.mjs URL');
  process.exit(2);
}

const folder = process.env.SAVANNAH_BROWSER_MODULES;
const modules = createRequire(folder ? join(folder, 'from-here.cjs') : import.meta.url);
const { serverAudits } = modules('graphql-http');

setTimeout(() => {
  console.log(`not done after ${LIMIT / 1000} s`);
  process.exit(1);
}, LIMIT).unref();

const wrong = [];
let done = 0;
for (const audit of serverAudits({ url, fetchFn: fetch })) {
  const result = await audit.fn();
  done += 1;
  if (result.status !== 'ok' && !audit.name.startsWith('MAY')) {
    wrong.push(`${audit.id} ${audit.name}: ${result.reason}`);
  }
}
// An audit that audits nothing would pass.
if (done < 50) {
  wrong.push(`there were only ${done} audits`);
}
console.log(wrong.length === 0 ? `${done} audits` : wrong.join('\n'));
process.exit(wrong.length === 0 ? 0 : 1);
