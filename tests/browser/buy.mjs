// Somebody buys in GraphiQL, from an empty cart to an order, as a shopper's page would.
//
//   node tests/browser/buy.mjs http://127.0.0.1:8000 '{"variants": ["ID"], "said": "email: \"…\"", "token": null}'
//
// Says the order as JSON. Needs what page.mjs needs.

import { editor, expect, visit, writeHeaders, writeOperation } from './page.mjs';

const [base, wish] = process.argv.slice(2);
const { variants, said, token } = JSON.parse(wish ?? '{}');
if (!base || !variants) {
  console.error('usage: node tests/browser/buy.mjs BASE_URL WISH');
  process.exit(2);
}

await visit(base, buy);

async function buy(page) {
  await page.goto(new URL('/graphiql', base).href);
  await editor(page).filter({ hasText: 'query Welcome' }).waitFor();
  if (token) {
    await writeHeaders(page, { Authorization: `Bearer ${token}` });
  }
  const lines = variants.map((id) => `{ variantId: "${id}", quantity: 2 }`).join(' ');
  const begun = await run(page, 'mutation', 'Begin', `cartCreate(input: { lines: [${lines}] }) { cart { id } ERRORS }`);
  const cart = begun.cartCreate.cart.id;
  const ways = await run(page, 'query', 'Ways', `cart(id: "${cart}") { availableShippingOptions { shippingMethodId name } }`);
  const way = ways.cart.availableShippingOptions.find((one) => one.name === 'Standard').shippingMethodId;
  const choice = `cartShippingMethodUpdate(id: "${cart}", shippingMethodId: "${way}") { cart { cost { total { amount } } } ERRORS }`;
  const chosen = await run(page, 'mutation', 'Choose', choice);
  const total = chosen.cartShippingMethodUpdate.cart.cost.total.amount;
  const place = 'firstName: "Wanjiku" lastName: "Kamau" line1: "Moi Avenue 1" city: "Nairobi" countryCode: "KE"';
  const input = `cartId: "${cart}" paymentMethodId: "cash_on_delivery" idempotencyKey: "a word" expectedTotal: "${total}" ${said} shippingAddress: { address: { ${place} } }`;
  const order = 'order { id number token status paymentStatus email phone cost { total { amount } } }';
  const bought = await run(page, 'mutation', 'Buy', `checkoutComplete(input: { ${input} }) { ${order} ERRORS }`);
  const made = bought.checkoutComplete.order;
  await page.locator('.graphiql-response').filter({ hasText: made.number }).waitFor();
  if (process.env.SCREENSHOT) {
    await page.screenshot({ path: process.env.SCREENSHOT });
  }
  return JSON.stringify(made);
}

// Runs an operation as people do, and reads what came of it.
async function run(page, kind, name, text) {
  const operation = `${kind} ${name} { ${text.replace('ERRORS', 'userErrors { code field message }')} }`;
  await writeOperation(page, operation, name);
  const answered = page.waitForResponse((response) => response.request().postData()?.includes(`${kind} ${name}`));
  await page.keyboard.press('Control+Enter');
  const response = await answered;
  const sent = response.request().headers().authorization;
  expect(sent === (token ? `Bearer ${token}` : undefined), `the header was ${sent}`);
  const { data, errors } = await response.json();
  const wrong = errors ?? Object.values(data).flatMap((one) => one.userErrors ?? []);
  if (wrong.length > 0) {
    throw new Error(`${operation}: ${JSON.stringify(wrong)}`);
  }
  return data;
}
