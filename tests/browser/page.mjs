// A page of the shop in a real browser, watched: it may go nowhere else, and nothing may go wrong on it.
//
// Needs playwright-core, found in the folder that SAVANNAH_BROWSER_MODULES names (the one npm installed into), by
// NODE_PATH, or beside this file; and Chromium (CHROMIUM, default /usr/bin/chromium). THEME=dark shows it in the dark.

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

const reasons = [];

// The paths of all requests that were made.
export const requests = [];

export function expect(truth, otherwise) {
  if (!truth) {
    reasons.push(otherwise);
  }
}

// Opens a browser, does something with a page of the shop at `base`, and ends the process: 0 when all was well. What is
// said is what `act` answers, or everything that went wrong.
export async function visit(base, act) {
  const { chromium } = modules()('playwright-core');
  const profile = await mkdtemp(join(tmpdir(), 'savannah-graphiql-'));
  let browser;
  let said = 'ok';
  const finish = async (reason) => {
    clearTimeout(late);
    if (reason) {
      reasons.push(reason);
    }
    // A browser that hangs must not keep the test from ending.
    const ended = browser?.close().then(() => rm(profile, { recursive: true, force: true }));
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5000))]).catch(() => {});
    console.log(reasons.length === 0 ? said : [...new Set(reasons)].join('\n'));
    process.exit(reasons.length === 0 ? 0 : 1);
  };
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
    await watch(browser, page, new URL(base).host);
    said = (await act(page)) ?? said;
  } catch (error) {
    reasons.push(error.message);
  }
  await finish();
}

function modules() {
  const folder = process.env.SAVANNAH_BROWSER_MODULES;
  return createRequire(folder ? join(folder, 'from-here.cjs') : import.meta.url);
}

// Everything that must not happen on the page is written down as it happens.
async function watch(context, page, host) {
  const visited = (address) => {
    const url = new URL(address);
    requests.push(url.pathname);
    if (!['data:', 'blob:', 'about:'].includes(url.protocol) && url.host !== host) {
      reasons.push(`went to another host: ${address}`);
    }
  };
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

// The editor of GraphiQL's operation.
export const editor = (page) => page.locator('.graphiql-query-editor .CodeMirror');

// Writes the headers that go with every operation from now on.
export async function writeHeaders(page, headers) {
  await page.getByRole('button', { name: 'Headers' }).click();
  await page.locator('.graphiql-editor-tool .graphiql-editor:not(.hidden) .CodeMirror').click();
  await page.keyboard.insertText(JSON.stringify(headers));
}

// Writes an operation in place of whatever stands there. GraphiQL takes a moment to see which operation it has now, and
// nobody types faster than that: the tab has its name when it has.
export async function writeOperation(page, text, name) {
  await editor(page).click();
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  await page.keyboard.insertText(text);
  await page.locator('.graphiql-tab').filter({ hasText: name }).waitFor();
}
