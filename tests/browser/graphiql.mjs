// The GraphiQL page in a real browser: it loads from the shop's own origin alone, runs a query and shows the schema.
//
//   node tests/browser/graphiql.mjs http://127.0.0.1:8000 "The shop's name"
//
// Needs playwright-core, found in the folder that SAVANNAH_BROWSER_MODULES names (the one npm installed into), by
// NODE_PATH, or beside this file; and Chromium (CHROMIUM, default /usr/bin/chromium). SCREENSHOT=file.png keeps a
// picture; THEME=dark takes it in the dark.

import { createRequire } from 'node:module';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const LIMIT = 60_000;
const STEP = 15_000;

// The machine may have no way out: Chromium's own errands would only fill the log, and must not look like the page's.
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const [base, shopName, token] = process.argv.slice(2);
const TOKEN = `Bearer ${token}`;
if (!base || !shopName) {
  console.error('usage: node tests/browser/graphiql.mjs BASE_URL SHOP_NAME');
  process.exit(2);
}

const { chromium } = modules()('playwright-core');
const origin = new URL(base).host;
const reasons = [];
const requests = [];

const profile = await mkdtemp(join(tmpdir(), 'savannah-graphiql-'));
let browser;
const late = setTimeout(() => finish(`not done after ${LIMIT / 1000} s`), LIMIT);
try {
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: FLAGS,
    colorScheme: process.env.THEME === 'dark' ? 'dark' : 'light',
    viewport: { width: 1360, height: 860 },
  });
  const page = await browser.newPage();
  page.setDefaultTimeout(STEP);
  await watch(browser, page);
  await explore(page);
} catch (error) {
  reasons.push(error.message);
}
await finish();

function modules() {
  const folder = process.env.SAVANNAH_BROWSER_MODULES;
  return createRequire(folder ? join(folder, 'from-here.cjs') : import.meta.url);
}

// Everything that must not happen on the page is written down as it happens.
async function watch(context, page) {
  context.on('request', (request) => visited(request.url()));
  page.on('websocket', (socket) => visited(socket.url()));
  page.on('pageerror', (error) => reasons.push(`page error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') {
      reasons.push(`console: ${message.text()}`);
    }
  });
  await page.exposeFunction('violated', (what) => reasons.push(`security policy: ${what}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      window.violated(`${event.violatedDirective} ${event.blockedURI}`);
    });
  });
}

function visited(address) {
  const url = new URL(address);
  requests.push(url.pathname);
  if (!['data:', 'blob:', 'about:'].includes(url.protocol) && url.host !== origin) {
    reasons.push(`went to another host: ${address}`);
  }
}

async function explore(page) {
  const answer = await page.goto(new URL('/graphiql', base).href);
  expect(answer.status() === 200, `the page answered ${answer.status()}`);
  expect(answer.headers()['content-security-policy']?.includes("default-src 'none'"), 'the page has no strict policy');

  const editor = page.locator('.graphiql-query-editor .CodeMirror');
  await editor.filter({ hasText: 'query Welcome' }).waitFor();
  expect((await page.title()) === 'Savannah · GraphiQL', `the title is ${await page.title()}`);
  const line = await editor.evaluate((box) => box.CodeMirror.getLine(box.CodeMirror.getCursor().line));
  expect(line.startsWith('query Welcome'), `the cursor is at: ${line}`);

  // A header, as someone signed in would have one, to see that it is sent and not kept.
  await page.getByRole('button', { name: 'Headers' }).click();
  await page.locator('.graphiql-editor-tool .graphiql-editor:not(.hidden) .CodeMirror').click();
  await page.keyboard.insertText(JSON.stringify({ Authorization: TOKEN }));

  await editor.click();
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  await page.keyboard.insertText('{ shop { name currency } }');
  // GraphiQL takes a moment to see that the operation it had chosen is gone; nobody types faster than that.
  await page.locator('.graphiql-tab').filter({ hasText: 'untitled' }).waitFor();
  const asked = page.waitForRequest((request) => request.postData()?.includes('{ shop { name currency } }'));
  await page.keyboard.press('Control+Enter');
  expect((await asked).headers().authorization === TOKEN, 'the header was not sent');
  await page.locator('.graphiql-response').filter({ hasText: shopName }).waitFor();

  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  const docs = page.locator('.graphiql-doc-explorer');
  await docs.getByRole('link', { name: 'Query', exact: true }).click();
  await docs.locator('.graphiql-doc-explorer-title').filter({ hasText: 'Query' }).waitFor();
  await docs.getByText('shop', { exact: true }).waitFor();

  // What was typed is stored half a second later; the header never.
  await page.waitForFunction(() => localStorage.getItem('graphiql:tabState')?.includes('shop'));
  await page.waitForFunction(() => localStorage.getItem('graphiql:queries')?.includes('shop'));
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage }));
  expect(!stored.includes(TOKEN), 'the header was kept in the browser');

  if (process.env.SCREENSHOT) {
    await page.screenshot({ path: process.env.SCREENSHOT });
  }
  expect(requests.includes('/graphql'), 'no request to /graphql was seen');
}

function expect(truth, otherwise) {
  if (!truth) {
    reasons.push(otherwise);
  }
}

async function finish(reason) {
  clearTimeout(late);
  if (reason) {
    reasons.push(reason);
  }
  // A browser that hangs must not keep the test from ending.
  const ended = browser?.close().then(() => rm(profile, { recursive: true, force: true }));
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5000))]).catch(() => {});
  console.log(reasons.length === 0 ? 'ok' : [...new Set(reasons)].join('\n'));
  process.exit(reasons.length === 0 ? 0 : 1);
}
