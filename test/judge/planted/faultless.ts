/** Transcripts without a fault, which the judge must accept. */
import { envelope, type Faultless, hello, lhlo, message, toContent } from "./script.ts";

export const FAULTLESS: readonly Faultless[] = [
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
  { name: "QUIT after a greeting that refuses", script: "S: 554 no\nC: QUIT\nS: 221 bye\nCLOSE" },
  {
    name: "HELO after EHLO was refused, with an address for a name",
    script: `S: 220 hi\nC: EHLO [192.0.2.1]\nS: 502 no\nC: HELO [IPv6:2001:db8::1]\nS: 250 hi\n${message}`,
  },
  {
    name: "all parameters that were offered",
    script: `${hello("SIZE 9", "8BITMIME", "SMTPUTF8", "DSN", "AUTH PLAIN")}\nC: MAIL FROM:<"a b"@x.test> SIZE=1 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb AUTH=a+3Db\nS: 250 ok\nC: RCPT TO:<\\xc3\\xbc@y.test> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;\\\\x{FC}+40y.test\nS: 250 ok\nC: DATA\nS: 354 go\nC: gr\\xc3\\xbcn\nC+ .\nS: 250 ok`,
  },
  {
    name: "chunks that are cut within a line's end, and one that is refused, then RSET",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 2\nC~ a\\r\nS: 250 ok\nC: BDAT 1\nC~ \\n\nS: 452 no\nC: RSET\nS: 250 ok\n${envelope}\nC: BDAT 3 LAST\nC+ x\nS: 250 ok`,
  },
  {
    name: "binary chunks",
    script: `${hello("CHUNKING", "BINARYMIME")}\n${envelope}\nC: BDAT 4 LAST\nC~ \\n\\r\\xff\\x00\nS: 250 ok`.replace(
      "@x.test>",
      "@x.test> BODY=BINARYMIME",
    ),
  },
  {
    name: "a message in two portions, for want of room",
    script: `${hello("PIPELINING")}\n${envelope}\nC: RCPT TO:<c@y.test>\nS: 452 full\nC: DATA\nS: 354 go\nC: .\nS: 250 ok\nC: MAIL FROM:<a@x.test>\nC+ RCPT TO:<c@y.test>\nC+ DATA\nS: 250 ok\nS: 250 ok\nS: 451 later`,
    reported: {
      kind: "delivered",
      accepted: ["b@y.test"],
      replies: [{ to: "recipient", recipient: "c@y.test", code: 451 }],
    },
  },
  {
    name: "a message that is sent again, since its end had not left",
    script: `${hello()}\n${envelope}\nC: DATA\nLOST\nRECONNECT\n${hello()}\n${message}`,
    reported: { kind: "delivered", accepted: ["b@y.test"], replies: [{ to: "content", code: 250 }] },
  },
  {
    name: "LMTP's reply to the end as the refusal of a recipient",
    script: `${lhlo}\n${envelope}\nC: RCPT TO:<c@y.test>\nS: 250 ok\nC: DATA\nS: 354 go\nC: .\nS: 552 full\nS: 250 ok`,
    circumstances: { protocol: "lmtp" },
    reported: {
      kind: "delivered",
      accepted: ["c@y.test"],
      replies: [{ to: "recipient", recipient: "b@y.test", code: 552 }],
    },
  },
  {
    name: "a long initial response where the command alone was refused",
    script: `${hello("AUTH SCRAM-SHA-1")}\nC: AUTH SCRAM-SHA-1\nS: 501 no\nC: AUTH SCRAM-SHA-1 ${"YWFh".repeat(130)}\nS: 235 ok`,
  },
  { name: "a reply that a call returned", script: `${hello()}\nC: NOOP\nS: 252 x\nCREDIT NOOP 252` },
  { name: "a connection that is dropped in the middle of content", script: `${hello()}\n${toContent}\nC~ x\nDROP` },
];
