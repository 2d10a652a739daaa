// Runs the OAuth 2.0 client library `openid-client` against a shop: discovery, client credentials, GraphQL with the token,
// refresh, introspection, revocation.
//
//   node tests/oauth/client.mjs http://127.0.0.1:8000 CLIENT_ID CLIENT_SECRET
//
// Needs the modules of `.ci/run`, in the folder SAVANNAH_BROWSER_MODULES.
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const modules = process.env.SAVANNAH_BROWSER_MODULES;
const [shop, clientId, secret] = process.argv.slice(2);
if (!modules || !secret) {
  console.error("usage: SAVANNAH_BROWSER_MODULES=FOLDER node tests/oauth/client.mjs URL CLIENT_ID CLIENT_SECRET");
  process.exit(2);
}
setTimeout(() => {
  console.error("the script does not end");
  process.exit(1);
}, 60_000).unref();
const client = await import(pathToFileURL(join(modules, "node_modules/openid-client/build/index.js")));
const discoveryOptions = { algorithm: "oauth2", execute: [client.allowInsecureRequests] };

const rejectedWith = (status, error) => (reason) => {
  assert.equal(reason.status, status, String(reason));
  assert.equal(reason.error, error);
  return true;
};

/** Sends a query with a token; returns the response. */
async function query(config, token, text) {
  const headers = new Headers({ "content-type": "application/json", accept: "application/graphql-response+json" });
  const body = JSON.stringify({ query: text });
  const response = await client.fetchProtectedResource(config, token, new URL("/graphql", shop), "POST", body, headers);
  return response.json();
}

async function tryMethod(name, authentication) {
  const config = await client.discovery(new URL(shop), clientId, secret, authentication, discoveryOptions);
  const metadata = config.serverMetadata();
  assert.equal(metadata.issuer, shop);
  assert.ok(metadata.token_endpoint_auth_methods_supported.includes(name));

  const first = await client.clientCredentialsGrant(config, { scope: "customer:read offline_access" });
  assert.equal(first.token_type, "bearer");
  assert.equal(first.scope, "customer:read offline_access");
  assert.ok(first.expiresIn() > 0);
  const customers = await query(config, first.access_token, "{ customers(first: 1) { totalCount } }");
  assert.equal(customers.errors, undefined, JSON.stringify(customers));
  const forbidden = await query(config, first.access_token, "mutation { categoryDelete(id: \"x\") { userErrors { code } } }");
  assert.equal(forbidden.errors[0].extensions.code, "FORBIDDEN");

  const second = await client.refreshTokenGrant(config, first.refresh_token);
  assert.notEqual(second.refresh_token, first.refresh_token);
  const active = await client.tokenIntrospection(config, second.access_token);
  assert.equal(active.active, true);
  assert.equal(active.client_id, clientId);

  await client.tokenRevocation(config, second.refresh_token);
  await client.tokenRevocation(config, "unknown");
  await assert.rejects(query(config, second.access_token, "{ shop { name } }"), (reason) => {
    assert.equal(reason.status, 401, String(reason));
    return true;
  });
  await assert.rejects(client.refreshTokenGrant(config, second.refresh_token), rejectedWith(400, "invalid_grant"));
  const inactive = await client.tokenIntrospection(config, second.access_token);
  assert.deepEqual({ ...inactive }, { active: false });

  // Reuse of a used token ends the grant.
  const third = await client.clientCredentialsGrant(config, { scope: "offline_access" });
  const fourth = await client.refreshTokenGrant(config, third.refresh_token);
  for (const used of [third, fourth]) {
    await assert.rejects(client.refreshTokenGrant(config, used.refresh_token), rejectedWith(400, "invalid_grant"));
  }
  await assert.rejects(client.clientCredentialsGrant(config, { scope: "order:write" }), rejectedWith(400, "invalid_scope"));
  const password = { username: "amani@example.com", password: "correct horse battery" };
  await assert.rejects(client.genericGrantRequest(config, "password", password), rejectedWith(400, "unsupported_grant_type"));
  console.log(`${name}: passed`);
}

await tryMethod("client_secret_basic", client.ClientSecretBasic(secret));
await tryMethod("client_secret_post", client.ClientSecretPost(secret));
const wrong = await client.discovery(new URL(shop), clientId, undefined, client.ClientSecretBasic("sav_wrong"), discoveryOptions);
await assert.rejects(client.clientCredentialsGrant(wrong), (reason) => {
  // The library reports a challenge instead of the body.
  assert.equal(reason.status, 401, String(reason));
  return true;
});
