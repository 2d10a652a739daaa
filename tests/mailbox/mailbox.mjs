// A real SMTP server on a port of its own. It prints that port and the one where a story asks what has arrived, and runs
// until it is killed. What it does to letters is its mode: take, refuse, busy, hang.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.env.SAVANNAH_BROWSER_MODULES, "node_modules", "x.js"));
const { SMTPServer } = require("smtp-server");
const { default: PostalMime } = await import(pathToFileURL(require.resolve("postal-mime")));

let mode = "take";
const letters = [];

const refusal = (code, words) => Object.assign(new Error(words), { responseCode: code });

const server = new SMTPServer({
  authOptional: true,
  allowInsecureAuth: true,
  hideSTARTTLS: true,
  logger: false,
  onAuth(auth, session, done) {
    if (auth.username === "shop" && auth.password === "sesame") return done(null, { user: "shop" });
    done(refusal(535, "who are you"));
  },
  onRcptTo(address, session, done) {
    if (mode === "refuse") return done(refusal(550, `no mailbox ${address.address}`));
    if (mode === "busy") return done(refusal(451, "come back later"));
    done();
  },
  onData(stream, session, done) {
    const pieces = [];
    stream.on("data", (piece) => pieces.push(piece));
    stream.on("end", async () => {
      if (mode === "hang") return;
      const raw = Buffer.concat(pieces);
      const { envelope, user } = session;
      const parsed = await PostalMime.parse(raw);
      letters.push({
        from: parsed.from,
        to: parsed.to,
        replyTo: parsed.replyTo ?? null,
        subject: parsed.subject,
        messageId: parsed.messageId,
        date: parsed.date,
        text: parsed.text,
        html: parsed.html,
        headers: parsed.headers.map((header) => header.key),
        raw: raw.toString("latin1"),
        recipients: envelope.rcptTo.map((one) => one.address),
        user: user ?? null,
      });
      done(null, "taken");
    });
  },
});
server.on("error", () => {});

const control = createServer(async (req, res) => {
  if (req.url === "/letters") return res.end(JSON.stringify(letters));
  mode = req.url.slice("/mode/".length);
  res.end("well");
});

const listen = (one) => new Promise((resolve) => one.listen(0, "127.0.0.1", resolve));
await Promise.all([listen(server), listen(control)]);
console.log(`${server.server.address().port} ${control.address().port}`);
