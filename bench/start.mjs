/**
 * A process that imports a library, sends one message and ends: `start.mjs SUBJECT MESSAGE PORT`. Another
 * process measures its wall time; it prints the time of the import.
 */
import { readFileSync } from "node:fs";
import process from "node:process";

const [name, file, port] = process.argv.slice(2);
const libraries = {
  nodemailer: "nodemailer/lib/smtp-connection/index.js",
  "nodemailer-pool": "nodemailer",
  upyo: "@upyo/smtp",
  emailjs: "emailjs",
};
const library = name.startsWith("smtplib") ? "smtplib" : libraries[name];
const begun = performance.now();
if (library !== undefined) await import(library);
const importMs = performance.now() - begun;

const { default: subject } = await import(`./subjects/${name}.mjs`);
const message = subject.prepare(readFileSync(file));
const client = await subject.open({ host: "127.0.0.1", port: Number(port), connections: 1, mode: "start" });
await client.send("sender@bench.example", ["rcpt0@bench.example"], message);
await client.close();
console.log(JSON.stringify({ importMs }));
process.exit(0);
