/** Faults of STARTTLS and AUTH. */
import { envelope, hello, type Planted } from "./script.ts";

export const TLS: readonly Planted[] = [
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
  { name: "STARTTLS with a parameter", script: `${hello("STARTTLS")}\nC: STARTTLS now`, rule: /no parameters/ },
  {
    name: "STARTTLS a second time under TLS, as the server offers it",
    script: `${hello("STARTTLS")}\nC: STARTTLS\nS: 220 go\nTLS\nC: EHLO client.test\nS: 250-hi\nS: 250 STARTTLS\nC: STARTTLS`,
    rule: /no STARTTLS under TLS/,
  },
  {
    name: "TLS after STARTTLS was refused",
    script: `${hello("STARTTLS")}\nC: STARTTLS\nS: 454 no\nTLS`,
    rule: /after the 220/,
  },
  {
    name: "TLS in spite of a reply that came with the 220",
    script: `${hello("STARTTLS")}\nC: STARTTLS\nS: 220 go\\r\\n250 injected\nTLS`,
    rule: /nothing in clear survives/,
    also: /once the session is over/,
  },
  {
    name: "TLS in spite of half a reply that came with the 220",
    script: `${hello("STARTTLS")}\nC: STARTTLS\nS: 220 go\\r\\n250-injected\nTLS`,
    rule: /nothing in clear survives/,
  },
  {
    name: "AUTH under TLS by the offer of the clear session",
    script: `${hello("STARTTLS", "AUTH PLAIN")}\nC: STARTTLS\nS: 220 go\nTLS\nC: EHLO client.test\nS: 250 hi\nC: AUTH PLAIN AGEAYg==`,
    rule: /mechanism that is offered/,
  },
  {
    name: "a mechanism that is not in the list",
    script: `${hello("AUTH CRAM-MD5")}\nC: AUTH SCRAM-SHA-1`,
    rule: /mechanism that is offered/,
  },
  {
    name: "a token in clear",
    script: `${hello("AUTH XOAUTH2")}\nC: AUTH XOAUTH2`,
    rule: /password in clear/,
  },
  {
    name: "an initial response to CRAM-MD5",
    script: `${hello("AUTH CRAM-MD5")}\nC: AUTH CRAM-MD5 AGEAYg==`,
    rule: /server speaks first/,
  },
  {
    name: "an initial response in a line of more than 512 octets",
    script: `${hello("AUTH SCRAM-SHA-1")}\nC: AUTH SCRAM-SHA-1 ${"YWFh".repeat(130)}`,
    rule: /more than 512 octets/,
  },
  {
    name: "an initial response that is no base64",
    script: `${hello("AUTH EXTERNAL")}\nC: AUTH EXTERNAL a`,
    rule: /AUTH mechanism/,
  },
  {
    name: "a response that is no base64",
    script: `${hello("AUTH CRAM-MD5")}\nC: AUTH CRAM-MD5\nS: 334 eA==\nC: user_1 abc`,
    rule: /response is base64/,
  },
  {
    name: "more behind AUTH",
    script: `${hello("AUTH EXTERNAL", "PIPELINING")}\nC: AUTH EXTERNAL =\nC+ MAIL FROM:<a@x.test>`,
    rule: /ends a group/,
  },
];
