// The GraphiQL page in a real browser: it loads from the shop's own origin alone, runs a query and shows the schema.
//
//   node tests/browser/graphiql.mjs http://127.0.0.1:8000 "The shop's name" TOKEN
//
// Needs what page.mjs needs. SCREENSHOT=file.png keeps a picture.

import { editor as queryEditor, expect, requests, visit, writeHeaders, writeOperation } from './page.mjs';

const [base, shopName, token] = process.argv.slice(2);
const TOKEN = `Bearer ${token}`;
if (!base || !shopName) {
  console.error('usage: node tests/browser/graphiql.mjs BASE_URL SHOP_NAME TOKEN');
  process.exit(2);
}

await visit(base, explore);

async function explore(page) {
  const answer = await page.goto(new URL('/graphiql', base).href);
  expect(answer.status() === 200, `the page answered ${answer.status()}`);
  expect(answer.headers()['content-security-policy']?.includes("default-src 'none'"), 'the page has no strict policy');

  const editor = queryEditor(page);
  await editor.filter({ hasText: 'query Welcome' }).waitFor();
  expect((await page.title()) === 'Savannah · GraphiQL', `the title is ${await page.title()}`);
  const line = await editor.evaluate((box) => box.CodeMirror.getLine(box.CodeMirror.getCursor().line));
  expect(line.startsWith('query Welcome'), `the cursor is at: ${line}`);

  // A header, as someone signed in would have one, to see that it is sent and not kept.
  await writeHeaders(page, { Authorization: TOKEN });

  await writeOperation(page, '{ shop { name currency } }', 'untitled');
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
