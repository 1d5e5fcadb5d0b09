/** A mail server for the demo, npm's smtp-server: STARTTLS with a temporary authority, AUTH, one unknown recipient. */
import { once } from "node:events";
import { generate } from "selfsigned";
import { SMTPServer } from "smtp-server";

/**
 * Starts the server on a free loopback port.
 * @param {{ user: string, password: string, unknown: string }} options the account, and the refused recipient
 */
export async function startServer({ user, password, unknown }) {
  const authority = await certificate("Demo CA", { cA: true });
  const { cert, private: key } = await certificate("localhost", { signedBy: authority });
  const stored = [];

  const server = new SMTPServer({
    cert,
    key,
    name: "mail.example.net",
    disableReverseLookup: true,
    authMethods: ["PLAIN", "LOGIN"],
    onAuth: (given, _session, done) => {
      if (given.username === user && given.password === password) done(null, { user });
      else done(refusal(535, "authentication failed"));
    },
    onRcptTo: ({ address }, _session, done) => done(address === unknown ? refusal(550, "no such user here") : null),
    onData: async (stream, session, done) => {
      const { mailFrom, rcptTo } = session.envelope;
      const chunks = [];
      for await (const chunk of stream) chunks.push(chunk);
      stored.push({ from: mailFrom.address, to: rcptTo.map(({ address }) => address), content: Buffer.concat(chunks) });
      done(null, `queued as demo-${stored.length}`);
    },
  });
  server.on("error", (error) => console.error("server:", error.message));

  const listener = server.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: listener.address().port,
    ca: authority.cert,
    stored,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

function certificate(commonName, { cA = false, signedBy } = {}) {
  return generate([{ name: "commonName", value: commonName }], {
    keyType: "ec",
    algorithm: "sha256",
    ...(signedBy === undefined ? {} : { ca: { cert: signedBy.cert, key: signedBy.private } }),
    extensions: [
      { name: "basicConstraints", cA, critical: true },
      { name: "keyUsage", keyCertSign: cA, digitalSignature: !cA, critical: true },
      ...(cA ? [] : [{ name: "subjectAltName", altNames: [{ type: 2, value: "localhost" }] }]),
    ],
  });
}

function refusal(responseCode, text) {
  return Object.assign(new Error(text), { responseCode });
}
