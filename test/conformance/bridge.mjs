// Serves the TypeScript library to shim/smtplib.py: newline-delimited JSON on stdin and stdout (see README.md).
//   SMTPLIB_DIST     the library's ES module (a path or a URL)
//   SMTPLIB_ADAPTER  optional ES module: message(bytes, lib), tls(options, lib) - how this library wants them
//   BRIDGE_CTOR=new  builds with `new` and lets noop-free `send("")` await the connection, instead of X.connect()
//   BRIDGE_BODY=n    hands bodies over as an async iterable of n-byte chunks
import { Buffer } from "node:buffer";
import { openSync, readSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

const importPath = (p) => import(/^[a-z]+:\/\//.test(p) ? p : pathToFileURL(resolve(p)).href);
const send = (message) => {
  let bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  while (bytes.length) {
    try {
      bytes = bytes.subarray(writeSync(1, bytes));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
};

// The library's prints become Python's sys.stderr (debug output); nothing may reach stdout by accident.
const line = (...args) => send({ stderr: `${args.map((a) => (typeof a === "string" ? a : String(a))).join(" ")}\n` });
for (const name of ["log", "info", "warn", "error", "debug", "trace"]) console[name] = line;
process.stderr.write = (text) => {
  send({ stderr: typeof text === "string" ? text : Buffer.from(text).toString() });
  return true;
};

let fault;
process.on("unhandledRejection", (reason) => {
  fault = `unhandled rejection: ${reason?.stack ?? reason}`;
});
process.on("uncaughtException", (error) => {
  fault = `uncaught exception: ${error?.stack ?? error}`;
});

const lib = await importPath(process.env.SMTPLIB_DIST);
const adapter = process.env.SMTPLIB_ADAPTER ? await importPath(process.env.SMTPLIB_ADAPTER) : {};
const chunk = Number(process.env.BRIDGE_BODY ?? 0);
const objects = new Map();
let handles = 0;

class BridgeFault extends Error {}

// ---- callbacks: an authobject lives in Python. The call is synchronous, so any kind of authobject API can use it.
const [upFd, downFd] = process.env.BRIDGE_CB.split(",").map(Number);
let up, down;
function callback(key) {
  return (challenge) => {
    up ??= openSync(`/dev/fd/${upFd}`, "r");
    down ??= openSync(`/dev/fd/${downFd}`, "w");
    const none = challenge === undefined || challenge === null;
    const arg = none ? undefined : { $b: Buffer.from(challenge).toString("base64") };
    writeSync(down, `${JSON.stringify({ cb: key, none, arg })}\n`);
    const parts = [];
    const buffer = Buffer.alloc(65536);
    do parts.push(Buffer.from(buffer.subarray(0, readSync(up, buffer))));
    while (parts.at(-1).at(-1) !== 10);
    const answer = JSON.parse(Buffer.concat(parts).toString());
    if ("error" in answer) throw new Error(answer.error);
    return answer.value;
  };
}

async function* chunks(bytes, size) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

function decode(value, object) {
  if (Array.isArray(value)) return value.map((v) => decode(v, object));
  if (value === null) return undefined;
  if (typeof value !== "object") return value;
  if ("$b" in value) return new Uint8Array(Buffer.from(value.$b, "base64"));
  if ("$message" in value) {
    const bytes = decode(value.$message);
    return adapter.message ? adapter.message(bytes, lib) : bytes;
  }
  if ("$auth" in value && typeof object[value.$auth] === "function") {
    object.user = value.user;
    object.password = value.password;
    return object[value.$auth].bind(object);
  }
  if ("$cb" in value) return callback(value.$cb);
  return value;
}

function reply(value, where) {
  if (value === undefined || value === null || typeof value !== "object")
    throw new BridgeFault(`${where}: no Reply but ${value}`);
  const [code, message] = value;
  if (!Number.isInteger(code) || typeof message !== "string") {
    throw new BridgeFault(`${where}: a Reply must be [number, string], not ${JSON.stringify(value)}`);
  }
  const problems = [];
  if (value.code !== code) problems.push("code");
  if (value.message !== message) problems.push("message");
  if (!Array.isArray(value.lines) || value.lines.join("\n") !== message) problems.push("lines");
  if (!(value.enhancedCode === undefined || /^[245]\.\d{1,3}\.\d{1,3}$/.test(value.enhancedCode)))
    problems.push("enhancedCode");
  if (problems.length) throw new BridgeFault(`${where}: the Reply's .${problems.join(", .")} disagree with the tuple`);
  return [code, message];
}

const refused = (value, where) => {
  if (value === null || typeof value !== "object") throw new BridgeFault(`${where}: no Refused but ${value}`);
  if (Object.getPrototypeOf(value) !== null) throw new BridgeFault(`${where}: Refused must have no prototype`);
  return Object.entries(value).map(([address, r]) => [address, reply(r, `${where} ${address}`)]);
};

const REPLIES = new Set([
  "connect",
  "helo",
  "ehlo",
  "mail",
  "rcpt",
  "data",
  "rset",
  "noop",
  "verify",
  "vrfy",
  "expn",
  "docmd",
  "getreply",
  "starttls",
  "login",
  "auth",
  "quit",
]);

function encode(method, value) {
  if (REPLIES.has(method)) return { $r: reply(value, method) };
  if (method === "sendmail" || method === "send_message") return { $refused: refused(value, method) };
  if (method === "help" && typeof value !== "string") throw new BridgeFault(`help: no string but ${value}`);
  if (method === "has_extn" && typeof value !== "boolean") throw new BridgeFault(`has_extn: no boolean but ${value}`);
  return value ?? null;
}

function describe(error) {
  if (error instanceof BridgeFault) return { bridge: true, message: error.message };
  if (error === null || typeof error !== "object") return { name: "thrown", chain: [], message: String(error) };
  const chain = [];
  for (let p = error; p && p !== Object.prototype; p = Object.getPrototypeOf(p)) {
    const name = Object.hasOwn(p, "constructor") ? p.constructor.name : undefined;
    if (name) chain.push(name);
    // A minified build: find the exported name of the class.
    for (const [exported, cls] of Object.entries(lib)) {
      if (Object.hasOwn(p, "constructor") && cls === p.constructor && exported !== name) chain.push(exported);
    }
  }
  const info = { name: error.name, chain, message: String(error.message), code: error.code };
  if (lib.SMTPException && error instanceof lib.SMTPException) {
    if (!chain.slice(0, 2).includes(error.name))
      return { bridge: true, message: `${chain[0]}: .name is ${JSON.stringify(error.name)}` };
    info.temporary = error.temporary;
    info.delivery = error.delivery;
    if (
      typeof error.temporary !== "boolean" ||
      !["not-sent", "rejected", "unknown", undefined].includes(error.delivery)
    ) {
      return { bridge: true, message: `${chain[0]}: .temporary is ${error.temporary}, .delivery ${error.delivery}` };
    }
    if (lib.SMTPResponseException && error instanceof lib.SMTPResponseException) {
      if (!Number.isInteger(error.smtp_code) || typeof error.smtp_error !== "string") {
        return {
          bridge: true,
          message: `${chain[0]}: .smtp_code is ${error.smtp_code}, .smtp_error ${error.smtp_error}`,
        };
      }
      info.smtp_code = error.smtp_code;
      info.smtp_error = error.smtp_error;
      info.sender = error.sender;
    }
    if (error.recipients !== undefined) info.recipients = refused(error.recipients, chain[0]);
  }
  return info;
}

async function create(message) {
  const Class = lib[message.cls];
  if (typeof Class !== "function") throw new BridgeFault(`the library exports no class ${message.cls}`);
  const options = { ...message.opts };
  if (options.timeout === null) options.timeout = undefined;
  if (options.context && adapter.tls) options.context = adapter.tls(options.context, lib);
  let object;
  if (!message.host) object = new Class(undefined, undefined, options);
  else if (process.env.BRIDGE_CTOR === "new") {
    object = new Class(message.host, message.port, options);
    await object.send("");
  } else object = await Class.connect(message.host, message.port, options);
  if (!(object instanceof Class)) throw new BridgeFault(`${message.cls}.connect() gave no ${message.cls}`);
  objects.set(++handles, object);
  return handles;
}

async function handle(message) {
  for (const h of message.drop ?? []) {
    objects.get(h)?.close();
    objects.delete(h);
  }
  if (message.op === "func") return lib[message.m](...decode(message.a));
  if (message.op === "new") return create(message);
  const object = objects.get(message.h);
  const { op, m } = message;
  if (op === "dispose") return void (await object[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]());
  if (op === "set") {
    object[m] = message.a[0] ?? undefined;
    return null;
  }
  if (op === "get") {
    const value = object[m];
    if (m === "esmtp_features") return { $d: Object.entries(value) };
    return value ?? null;
  }
  if (typeof object[m] !== "function") throw new BridgeFault(`no method ${m}()`);
  const args = decode(message.a, object);
  const body = m === "data" ? 0 : m === "sendmail" ? 2 : -1;
  if (chunk > 0 && body >= 0) {
    const value = args[body];
    args[body] = chunks(typeof value === "string" ? new TextEncoder().encode(value) : value, chunk);
  }
  if (m === "starttls" && args.length && adapter.tls) args[0] = adapter.tls(args[0], lib);
  if (m === "close") {
    if (object.close() !== undefined) throw new BridgeFault("close() must return nothing");
    return null;
  }
  return encode(m, await object[m](...args));
}

async function answer(message) {
  let out;
  try {
    out = { id: message.id, value: (await handle(message)) ?? null };
  } catch (error) {
    try {
      out = { id: message.id, error: describe(error) };
    } catch (inner) {
      out = { id: message.id, error: { bridge: true, message: String(inner?.message ?? inner) } };
    }
  }
  await new Promise((done) => setImmediate(done)); // lets an unhandled rejection appear
  if (fault) {
    out = { id: message.id, error: { bridge: true, message: fault } };
    fault = undefined;
  }
  send(out);
}

let rest = "";
let queue = Promise.resolve();
process.stdin.setEncoding("utf8");
process.stdin.on("data", (text) => {
  const lines = (rest + text).split("\n");
  rest = lines.pop();
  for (const l of lines) if (l) queue = queue.then(() => answer(JSON.parse(l)));
});
process.stdin.on("end", () => process.exit(0));
