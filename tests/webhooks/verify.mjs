// Verifies the requests of its input, one JSON object per line, with the reference library of Standard Webhooks.
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(join(process.env.SAVANNAH_BROWSER_MODULES, "node_modules", "x.js"));
const { Webhook } = require("standardwebhooks");

for await (const line of createInterface({ input: process.stdin })) {
  const { body, secret, headers } = JSON.parse(line);
  try {
    const event = new Webhook(secret).verify(body, headers);
    console.log(event.id === headers["webhook-id"] ? "valid" : "another event");
  } catch {
    console.log("invalid");
  }
}
