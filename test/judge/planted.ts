/** Transcripts with one planted fault each, and the rule that the judge has to name. */
import type { Reported } from "./outcomes.ts";
import type { Script } from "./play.ts";
import type { Circumstances } from "./transcript.ts";

/** One fault. */
export type Planted = {
  readonly name: string;
  readonly script: Script;
  readonly rule: RegExp;
  readonly circumstances?: Partial<Circumstances>;
  readonly reported?: Reported;
};

/** A greeting and EHLO with these extensions. */
const hello = (...extensions: string[]): string =>
  ["S: 220 hi", "C: EHLO client.test", ...ehlo(...extensions)].join("\n");

const ehlo = (...extensions: string[]): string[] => {
  const lines = ["hi", ...extensions];
  return lines.map((line, index) => `S: 250${index < lines.length - 1 ? "-" : " "}${line}`);
};

const envelope = `C: MAIL FROM:<a@x.test>\nS: 250 ok\nC: RCPT TO:<b@y.test>\nS: 250 ok`;
const toContent = `${envelope}\nC: DATA\nS: 354 go`;
const message = `${toContent}\nC: Subject: x\nC+ .\nS: 250 ok`;

export const PLANTED: readonly Planted[] = [
  { name: "EHLO before the greeting", script: "C: EHLO client.test", rule: /4\.3\.1.*greeting/ },
  { name: "MAIL without EHLO", script: "S: 220 hi\nC: MAIL FROM:<a@x.test>", rule: /4\.1\.1\.1/ },
  { name: "EHLO without a name", script: "S: 220 hi\nC: EHLO ", rule: /EHLO has a name/ },
  { name: "EHLO in LMTP", script: "S: 220 hi\nC: EHLO client.test", circumstances: { protocol: "lmtp" }, rule: /2033/ },
  { name: "LHLO in SMTP", script: "S: 220 hi\nC: LHLO client.test", rule: /2033/ },
  { name: "a bare LF behind a command", script: `${hello()}\nC~ NOOP\\n`, rule: /2\.3\.8: a line/ },
  { name: "a bare CR in a command", script: `${hello()}\nC: NOOP a\\rb`, rule: /control character/ },
  { name: "NUL in a command", script: `${hello()}\nC: NOOP a\\x00b`, rule: /control character/ },
  { name: "a line of 13,000 octets", script: `${hello()}\nC: NOOP ${"x".repeat(13_000)}`, rule: /12,288/ },
  {
    name: "two commands at once without PIPELINING",
    script: `${hello()}\nC: MAIL FROM:<a@x.test>\nC+ RCPT TO:<b@y.test>`,
    rule: /without PIPELINING/,
  },
  {
    name: "two writes before a reply without PIPELINING",
    script: `${hello()}\nC: MAIL FROM:<a@x.test>\nC: RCPT TO:<b@y.test>`,
    rule: /without PIPELINING/,
  },
  {
    name: "NOOP in the middle of a group",
    script: `${hello("PIPELINING")}\nC: NOOP\nC+ MAIL FROM:<a@x.test>`,
    rule: /ends a group/,
  },
  {
    name: "EHLO and MAIL in one group",
    script: `${hello("PIPELINING")}\nC: EHLO client.test\nC+ MAIL FROM:<a@x.test>`,
    rule: /ends a group/,
  },
  {
    name: "content in the group of DATA",
    script: `${hello("PIPELINING")}\nC: MAIL FROM:<a@x.test>\nC+ RCPT TO:<b@y.test>\nC+ DATA\nC+ Subject: x`,
    rule: /ends a group/,
  },
  {
    name: "QUIT and more",
    script: `${hello("PIPELINING")}\nC: QUIT\nC+ NOOP`,
    rule: /nothing follows QUIT|ends a group/,
  },
  { name: "MAIL in an open transaction", script: `${hello()}\n${envelope}\nC: MAIL FROM:<c@x.test>`, rule: /4\.1\.4/ },
  {
    name: "MAIL after every recipient was refused, without RSET",
    script: `${hello()}\nC: MAIL FROM:<a@x.test>\nS: 250 ok\nC: RCPT TO:<b@y.test>\nS: 550 no\nC: MAIL FROM:<a@x.test>`,
    rule: /4\.1\.4/,
  },
  {
    name: "MAIL after DATA was refused, without RSET",
    script: `${hello()}\n${envelope}\nC: DATA\nS: 451 no\nC: MAIL FROM:<a@x.test>`,
    rule: /4\.1\.4/,
  },
  {
    name: "MAIL behind an unanswered BDAT LAST, without RSET",
    script: `${hello("PIPELINING", "CHUNKING")}\n${envelope}\nC: BDAT 0 LAST\nC+ MAIL FROM:<a@x.test>`,
    rule: /4\.1\.4/,
  },
  { name: "RCPT without MAIL", script: `${hello()}\nC: RCPT TO:<b@y.test>`, rule: /no RCPT without MAIL/ },
  {
    name: "RCPT to nobody",
    script: `${hello()}\nC: MAIL FROM:<a@x.test>\nS: 250 ok\nC: RCPT TO:<>`,
    rule: /4\.1\.1\.3/,
  },
  { name: "an address without angle brackets", script: `${hello()}\nC: MAIL FROM:a@x.test`, rule: /4\.1\.1\.2/ },
  {
    name: "DATA without a recipient",
    script: `${hello()}\nC: MAIL FROM:<a@x.test>\nS: 250 ok\nC: DATA`,
    rule: /no DATA without/,
  },
  {
    name: "DATA after every recipient was refused",
    script: `${hello()}\nC: MAIL FROM:<a@x.test>\nS: 250 ok\nC: RCPT TO:<b@y.test>\nS: 550 no\nC: DATA`,
    rule: /no DATA when/,
  },
  {
    name: "content after 250 to DATA",
    script: `${hello()}\n${envelope}\nC: DATA\nS: 250 ok\nC: Subject: x\nC: More: y`,
    rule: /without PIPELINING/,
  },
  { name: "a bare LF in content", script: `${hello()}\n${toContent}\nC~ a\\nb\\r\\n`, rule: /bare LF/ },
  { name: "a bare CR in content", script: `${hello()}\n${toContent}\nC~ a\\rb\\r\\n`, rule: /bare CR/ },
  { name: "CR CR LF in content", script: `${hello()}\n${toContent}\nC~ a\\r\\r\\n`, rule: /bare CR/ },
  { name: "a dot that is not doubled", script: `${hello()}\n${toContent}\nC: .hidden`, rule: /4\.5\.2/ },
  {
    name: "a dot that is not doubled, cut by a write",
    script: `${hello()}\n${toContent}\nC~ .\nC: hidden`,
    rule: /4\.5\.2/,
  },
  {
    name: "a message that ends at a dot of its own",
    script: `${hello()}\n${toContent}\nC: a\nC+ .\nC+ b`,
    rule: /without PIPELINING/,
  },
  { name: "8 bits without 8BITMIME", script: `${hello()}\n${toContent}\nC: gr\\xc3\\xbcn`, rule: /2\.4/ },
  {
    name: "8 bits in a chunk without 8BITMIME",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 4 LAST\nC+ \\xc3\\xbc`,
    rule: /2\.4/,
  },
  { name: "BDAT that was not offered", script: `${hello()}\n${envelope}\nC: BDAT 0 LAST`, rule: /needs CHUNKING/ },
  {
    name: "BDAT with RCPT in one write",
    script: `${hello("PIPELINING", "CHUNKING")}\nC: MAIL FROM:<a@x.test>\nC+ RCPT TO:<b@y.test>\nC+ BDAT 0 LAST`,
    rule: /BDAT follows the replies/,
  },
  {
    name: "BDAT in one flight without RSET",
    script: `${hello("PIPELINING", "CHUNKING")}\nC: MAIL FROM:<a@x.test>\nC+ RCPT TO:<b@y.test>\nC+ BDAT 0 LAST`,
    circumstances: { eager: true },
    rule: /BDAT follows the replies/,
  },
  {
    name: "BDAT for nobody",
    script: `${hello("CHUNKING")}\nC: MAIL FROM:<a@x.test>\nS: 250 ok\nC: RCPT TO:<b@y.test>\nS: 550 no\nC: BDAT 0 LAST`,
    rule: /accepted recipient/,
  },
  {
    name: "a chunk after LAST",
    script: `${hello("PIPELINING", "CHUNKING")}\n${envelope}\nC: BDAT 0 LAST\nC+ BDAT 0 LAST`,
    rule: /follows BDAT LAST/,
  },
  {
    name: "a chunk after one that was refused",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 2\nS: 552 no\nC: BDAT 0 LAST`.replace(
      "BDAT 2\n",
      "BDAT 2\nC+ \n",
    ),
    rule: /one that was refused/,
  },
  {
    name: "SMTPUTF8 that was not offered",
    script: `${hello()}\nC: MAIL FROM:<a@x.test> SMTPUTF8`,
    rule: /4\.1\.1\.11/,
  },
  {
    name: "an address that is not ASCII without SMTPUTF8",
    script: `${hello()}\nC: MAIL FROM:<\\xc3\\xbc@x.test>`,
    rule: /6531/,
  },
  { name: "SIZE that was not offered", script: `${hello()}\nC: MAIL FROM:<a@x.test> SIZE=1`, rule: /4\.1\.1\.11/ },
  { name: "SIZE that is no number", script: `${hello("SIZE 9")}\nC: MAIL FROM:<a@x.test> SIZE=1k`, rule: /1870/ },
  {
    name: "NOTIFY that was not offered",
    script: `${hello()}\nC: MAIL FROM:<a@x.test>\nS: 250 ok\nC: RCPT TO:<b@y.test> NOTIFY=NEVER`,
    rule: /4\.1\.1\.11/,
  },
  {
    name: "BINARYMIME with nothing but 8BITMIME",
    script: `${hello("8BITMIME")}\nC: MAIL FROM:<a@x.test> BODY=BINARYMIME`,
    rule: /BINARYMIME is offered/,
  },
  { name: "STARTTLS that was not offered", script: `${hello()}\nC: STARTTLS`, rule: /STARTTLS is sent where/ },
  {
    name: "STARTTLS under TLS",
    script: `${hello("STARTTLS")}\nC: STARTTLS`,
    circumstances: { implicitTls: true },
    rule: /no STARTTLS under TLS/,
  },
  {
    name: "more behind STARTTLS",
    script: `${hello("STARTTLS", "PIPELINING")}\nC: STARTTLS\nC+ EHLO client.test`,
    rule: /ends a group/,
  },
  {
    name: "clear text between the 220 and the handshake",
    script: `${hello("STARTTLS")}\nC: STARTTLS\nS: 220 go\nC: EHLO client.test`,
    rule: /between STARTTLS/,
  },
  { name: "TLS without STARTTLS", script: `${hello()}\nTLS`, rule: /after the 220/ },
  {
    name: "no EHLO after STARTTLS",
    script: `${hello("STARTTLS")}\nC: STARTTLS\nS: 220 go\nTLS\nC: MAIL FROM:<a@x.test>`,
    rule: /EHLO follows STARTTLS/,
  },
  {
    name: "an extension of the clear session used under TLS",
    script: `${hello("STARTTLS", "SIZE 9")}\nC: STARTTLS\nS: 220 go\nTLS\nC: EHLO client.test\nS: 250 hi\nC: MAIL FROM:<a@x.test> SIZE=1`,
    rule: /4\.1\.1\.11/,
  },
  { name: "a password in clear", script: `${hello("AUTH PLAIN")}\nC: AUTH PLAIN AGEAYg==`, rule: /password in clear/ },
  { name: "AUTH that was not offered", script: `${hello()}\nC: AUTH CRAM-MD5`, rule: /4954 3/ },
  {
    name: "AUTH twice",
    script: `${hello("AUTH PLAIN")}\nC: AUTH PLAIN AGEAYg==\nS: 235 ok\nC: AUTH PLAIN AGEAYg==`,
    circumstances: { clearTextAllowed: true },
    rule: /after a successful one/,
  },
  {
    name: "AUTH during a transaction",
    script: `${hello("AUTH CRAM-MD5")}\n${envelope}\nC: AUTH CRAM-MD5`,
    rule: /during a transaction/,
  },
  {
    name: "a command in place of a response",
    script: `${hello("AUTH CRAM-MD5")}\nC: AUTH CRAM-MD5\nS: 334 eA==\nC: MAIL FROM:<a@x.test>`,
    rule: /response is base64/,
  },
  {
    name: "an empty initial response without =",
    script: `${hello("AUTH EXTERNAL")}\nC: AUTH EXTERNAL `,
    rule: /AUTH mechanism/,
  },
  { name: "a command after 421", script: `${hello()}\nC: NOOP\nS: 421 bye\nC: NOOP`, rule: /once the session is over/ },
  {
    name: "a command after a reply that is none",
    script: `${hello()}\nC: NOOP\nS: what\nC: NOOP`,
    rule: /once the session is over/,
  },
  {
    name: "a command after a reply with two codes",
    script: `${hello()}\nC: NOOP\nS: 250-a\nS: 550 b\nC: NOOP`,
    rule: /once the session is over/,
  },
  {
    name: "a command after a reply that nothing asked for",
    script: `${hello()}\nS: 250 what\nC: NOOP`,
    rule: /once the session is over/,
  },
  {
    name: "content after an early refusal",
    script: `${hello()}\n${toContent}\nC: Subject: x\nS: 552 too big\nC: more`,
    rule: /once the session is over/,
  },
  {
    name: "a connection that is closed without QUIT",
    script: `${hello()}\n${message}\nCLOSE`,
    rule: /4\.1\.1\.10: QUIT/,
  },
  {
    name: '"accepted" without a reply to the end',
    script: `${hello()}\n${toContent}\nC: x\nC+ .\nLOST`,
    reported: { kind: "delivered", accepted: 1 },
    rule: /accepted without/,
  },
  {
    name: '"accepted" after a refusal of the content',
    script: `${hello()}\n${toContent}\nC: x\nC+ .\nS: 554 no`,
    reported: { kind: "delivered", accepted: 1 },
    rule: /accepted without/,
  },
  {
    name: '"accepted" for two where LMTP took it for one',
    script: `S: 220 hi\nC: LHLO client.test\nS: 250 hi\n${envelope}\nC: RCPT TO:<c@y.test>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC+ .\nS: 250 ok\nS: 550 no`,
    circumstances: { protocol: "lmtp" },
    reported: { kind: "delivered", accepted: 2 },
    rule: /accepted without/,
  },
  {
    name: '"not-sent" although the end had left',
    script: `${hello()}\n${toContent}\nC: x\nC+ .\nLOST`,
    reported: { kind: "failed", delivery: "not-sent" },
    rule: /"not-sent"/,
  },
  {
    name: '"not-sent" although the last chunk had left',
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 2 LAST\nC+ \nLOST`,
    reported: { kind: "failed", delivery: "not-sent" },
    rule: /"not-sent"/,
  },
  {
    name: '"rejected" without a refusal',
    script: `${hello()}\n${toContent}\nC: x\nC+ .\nLOST`,
    reported: { kind: "failed", delivery: "rejected" },
    rule: /"rejected"/,
  },
  {
    name: '"unknown" although the refusal was there',
    script: `${hello()}\n${toContent}\nC: x\nC+ .\nS: 554 no`,
    reported: { kind: "failed", delivery: "unknown" },
    rule: /"unknown"/,
  },
  {
    name: '"unknown" although the end had not left',
    script: `${hello()}\n${toContent}\nC: x\nLOST`,
    reported: { kind: "failed", delivery: "unknown" },
    rule: /"unknown"/,
  },
  {
    name: "a failure although the server said yes",
    script: `${hello()}\n${message}`,
    reported: { kind: "failed", delivery: "rejected" },
    rule: /although the server took/,
  },
  {
    name: "a failure that says nothing of the message",
    script: `${hello()}\n${toContent}\nC: x\nLOST`,
    reported: { kind: "failed", delivery: undefined },
    rule: /says nothing/,
  },
];

/** Transcripts without a fault: what the judge must accept. */
export const FAULTLESS: readonly Omit<Planted, "rule">[] = [
  {
    name: "a message in lock-step",
    script: `${hello()}\n${message}\nC: QUIT\nS: 221 bye\nCLOSE`,
    reported: { kind: "delivered", accepted: 1 },
  },
  {
    name: "a message, pipelined, and the next envelope behind its end",
    script: `${hello("PIPELINING")}\nC: MAIL FROM:<a@x.test>\nC+ RCPT TO:<b@y.test>\nC+ DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: x\nC+ .\nC+ MAIL FROM:<a@x.test>\nC+ RCPT TO:<b@y.test>\nC+ DATA\nS: 250 ok`,
  },
  {
    name: "an empty end where DATA got 354 for nobody",
    script: `${hello("PIPELINING")}\nC: MAIL FROM:<a@x.test>\nC+ RCPT TO:<b@y.test>\nC+ DATA\nS: 250 ok\nS: 550 no\nS: 354 go\nC: .\nS: 250 ok`,
    reported: { kind: "failed", delivery: "rejected" },
  },
  {
    name: "a message in one flight",
    script: `${hello("PIPELINING", "CHUNKING")}\nC: RSET\nC+ MAIL FROM:<a@x.test>\nC+ RCPT TO:<b@y.test>\nC+ BDAT 3 LAST\nC+ x\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 ok`,
    circumstances: { eager: true },
    reported: { kind: "delivered", accepted: 1 },
  },
  {
    name: "STARTTLS, a login and a message",
    script: `${hello("STARTTLS")}\nC: STARTTLS\nS: 220 go\nTLS\nC: EHLO client.test\nS: 250-hi\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AGEAYg==\nS: 235 ok\n${message}\nC: QUIT\nS: 221 bye\nCLOSE`,
  },
  { name: "a refused greeting, by its last line", script: "S: 220-wait\nS: 521 no\nCLOSE" },
  { name: "a doubled dot, and text behind it", script: `${hello()}\n${toContent}\nC: ..\nC+ ..x\nC+ .\nS: 250 ok` },
  {
    name: "LMTP with a reply a recipient",
    script: `S: 220 hi\nC: LHLO client.test\nS: 250 hi\n${envelope}\nC: RCPT TO:<c@y.test>\nS: 250 ok\nC: DATA\nS: 354 go\nC: x\nC+ .\nS: 250 ok\nS: 550 no`,
    circumstances: { protocol: "lmtp" },
    reported: { kind: "delivered", accepted: 1 },
  },
  { name: "a cancelled exchange", script: `${hello("AUTH CRAM-MD5")}\nC: AUTH CRAM-MD5\nS: 334 !\nC: *\nS: 501 ok` },
];
