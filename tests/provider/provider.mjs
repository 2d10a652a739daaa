// A certified OpenID provider on a port of its own, set up as Keycloak would be. It prints its address and runs until
// it is killed. What a story wants of it beyond that is under /test/.
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const modules = join(process.env.SAVANNAH_BROWSER_MODULES, "node_modules");
const require = createRequire(join(modules, "x.js"));
const load = (name) => import(pathToFileURL(require.resolve(name)));
console.info = console.warn = () => {};
const { default: Provider } = await load("oidc-provider");
const { SignJWT } = await load("jose");

const people = {
  amani: { email: "amani@example.com", email_verified: true, given_name: "Amani", family_name: "Otieno", roles: ["admin", "offline_access"] },
  juma: { email: "juma@example.com", email_verified: true, given_name: "Juma", family_name: "Mwangi", roles: ["staff"] },
  wanjiru: { email: "wanjiru@example.com", email_verified: true, given_name: "Wanjiru", family_name: "Kamau", roles: [] },
  kip: { email: "kip@example.com", email_verified: false, given_name: "Kip", family_name: "Rotich", roles: [] },
  // Some providers write the truth as a text.
  cognito: { email: "cognito@example.com", email_verified: "true", given_name: "Cognito", family_name: "Pool", roles: [] },
  azure: { email: "azure@example.com", email_verified: "false", given_name: "Azure", family_name: "Tenant", roles: [] },
};

let made = 0;
const newKey = () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { id: `key-${++made}`, privateKey };
};
const jwk = ({ id, privateKey }) => ({ ...privateKey.export({ format: "jwk" }), kid: id, use: "sig", alg: "RS256" });

const resource = { scope: "api", audience: "savannah", accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } };

const settings = (key) => ({
  jwks: { keys: [jwk(key)] },
  clients: [{
    client_id: "savannah",
    client_secret: "sesame-sesame-sesame",
    // A native client may come back to any port of this machine.
    application_type: "native",
    redirect_uris: ["http://127.0.0.1/auth/keycloak/callback"],
  }],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["given_name", "family_name"] },
  conformIdTokenClaims: false,
  cookies: { keys: ["a word of this test"] },
  pkce: { required: () => true },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id], roles: undefined }) }),
  extraTokenClaims: (_, token) => ({ typ: "Bearer", realm_access: { roles: people[token.accountId]?.roles ?? [] } }),
  features: {
    devInteractions: { enabled: false },
    resourceIndicators: { enabled: true, getResourceServerInfo: () => resource },
  },
  interactions: { url: (_, interaction) => `/test/interaction/${interaction.uid}` },
  async loadExistingGrant(ctx) {
    const { client, session } = ctx.oidc;
    const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid email profile");
    await grant.save();
    return grant;
  },
});

const server = createServer();
await new Promise((resolve) => server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

let key, provider, who, keysRead = 0;
const turn = () => {
  key = newKey();
  provider = new Provider(issuer, settings(key));
};
turn();

const publicPem = () => createPublicKey(key.privateKey).export({ type: "spki", format: "pem" });
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token as somebody might forge it. */
async function forge({ header, claims, by }) {
  const head = { alg: "RS256", kid: key.id, ...header };
  if (by === "nobody") return `${part(head)}.${part(claims)}.`;
  const signer = { issuer: key.privateKey, stranger: by === "stranger" && newKey().privateKey, "public key": Buffer.from(publicPem()) };
  return new SignJWT(claims).setProtectedHeader(head).sign(signer[by ?? "issuer"]);
}

/** An access token as the provider itself makes it. */
async function access(name) {
  const client = await provider.Client.find("savannah");
  const token = new provider.AccessToken({ accountId: name, client, scope: "api", gty: "authorization_code" });
  token.resourceServer = new provider.ResourceServer("urn:savannah", resource);
  return token.save();
}

async function interaction(req, res) {
  const answer = who
    // A native client is asked for consent every time.
    ? { login: { accountId: who }, consent: {} }
    : { error: "access_denied", error_description: "they would not" };
  await provider.interactionFinished(req, res, answer, { mergeWithLastSubmission: false });
}

async function body(req) {
  let text = "";
  for await (const piece of req) text += piece;
  return text === "" ? {} : JSON.parse(text);
}

const wishes = {
  "/test/keys-read": () => String(keysRead),
  "/test/turn": () => { turn(); return key.id; },
  "/test/who": async (req) => { who = (await body(req)).name; return "well"; },
  "/test/forge": async (req) => forge(await body(req)),
  "/test/access": async (req) => access((await body(req)).name),
};

server.on("request", async (req, res) => {
  try {
    const wish = wishes[req.url];
    if (wish) return res.end(await wish(req));
    if (req.url.startsWith("/test/interaction/")) return await interaction(req, res);
    if (req.url.startsWith("/jwks")) keysRead += 1;
    provider.callback()(req, res);
  } catch (why) {
    res.writeHead(500).end(String(why?.stack ?? why));
  }
});
console.log(issuer);
