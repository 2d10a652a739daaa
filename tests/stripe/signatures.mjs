// Signs and verifies webhooks with the Node.js library of Stripe, found in the folder SAVANNAH_BROWSER_MODULES.
//
//   node tests/stripe/signatures.mjs sign SECRET UNIX_TIME BODY      prints the header
//   node tests/stripe/signatures.mjs verify SECRET HEADER BODY       prints the id of the event, or fails
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.SAVANNAH_BROWSER_MODULES, "node_modules", "x.js"));
const { default: Stripe } = await import(require.resolve("stripe"));
const { webhooks } = new Stripe("sk_test_unused");

const [operation, secret, timeOrHeader, payload] = process.argv.slice(2);
if (operation === "sign") {
  console.log(webhooks.generateTestHeaderString({ payload, secret, timestamp: Number(timeOrHeader) }));
} else {
  // Without tolerance: the tests have a clock of their own.
  console.log(webhooks.constructEvent(payload, timeOrHeader, secret, 0).id);
}
