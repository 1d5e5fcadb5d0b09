/** Faults in the form of commands, in the greeting, in EHLO and QUIT, and in groups. */
import { hello, message, type Planted } from "./script.ts";

export const SESSION: readonly Planted[] = [
  { name: "EHLO before the greeting", script: "C: EHLO client.test", rule: /4\.3\.1.*greeting/ },
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
    name: "QUIT and more",
    script: `${hello("PIPELINING")}\nC: QUIT\nC+ NOOP`,
    rule: /nothing follows QUIT|ends a group/,
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
    name: "a connection that is closed without QUIT",
    script: `${hello()}\n${message}\nCLOSE`,
    rule: /4\.1\.1\.10: QUIT/,
  },
  { name: "a line that is no command", script: `${hello()}\nC: Subject: x`, rule: /no such command/ },
  { name: "a base64 line that no challenge asked for", script: `${hello()}\nC: AGEAYg==`, rule: /no such command/ },
  { name: "RSET with an argument", script: `${hello()}\nC: RSET now`, rule: /no argument/ },
  { name: "QUIT with an argument", script: `${hello()}\nC: QUIT now`, rule: /no argument/ },
  { name: "VRFY of nothing", script: `${hello()}\nC: VRFY`, rule: /VRFY string/ },
  { name: "EXPN of nothing", script: `${hello()}\nC: EXPN`, rule: /EXPN string/ },
  { name: "EHLO with two names", script: "S: 220 hi\nC: EHLO a.test b.test", rule: /EHLO has a name/ },
  { name: "EHLO with an underscore", script: "S: 220 hi\nC: EHLO a_b.test", rule: /labels of letters/ },
  { name: "EHLO with an address without brackets", script: "S: 220 hi\nC: EHLO ::1", rule: /labels of letters/ },
  {
    name: "EHLO with a name that is not ASCII",
    script: `${hello("SMTPUTF8")}\nC: EHLO \\xc3\\xbc.test`,
    rule: /A-label/,
    also: /labels of letters/,
  },
  { name: "HELO in LMTP", script: "S: 220 hi\nC: HELO client.test", circumstances: { protocol: "lmtp" }, rule: /2033/ },
  { name: "EHLO after a greeting that refuses", script: "S: 554 no\nC: EHLO client.test", rule: /nothing but QUIT/ },
  {
    name: "an extension of EHLO after HELO",
    script: `${hello("SIZE 9")}\nC: HELO client.test\nS: 250 hi\nC: MAIL FROM:<a@x.test> SIZE=1`,
    rule: /4\.1\.1\.11/,
  },
  {
    name: "a group after an EHLO that was refused",
    script: `${hello("PIPELINING")}\nC: EHLO client.test\nS: 500 no\nC: MAIL FROM:<a@x.test>\nC+ RCPT TO:<b@y.test>`,
    rule: /without PIPELINING/,
  },
  {
    name: "VRFY in the middle of a group",
    script: `${hello("PIPELINING")}\nC: VRFY b\nC+ MAIL FROM:<a@x.test>`,
    rule: /ends a group/,
  },
  {
    name: "a command behind DATA, before its reply",
    script: `${hello("PIPELINING")}\nC: MAIL FROM:<a@x.test>\nC+ RCPT TO:<b@y.test>\nC+ DATA\nC: QUIT`,
    rule: /ends a group/,
  },
  {
    name: "a command after the server's end",
    script: `${hello()}\nLOST\nS: 250 x\nC: NOOP`,
    rule: /once the session is over/,
  },
  {
    name: "a command after 421 that nothing asked for",
    script: `${hello()}\nS: 421 idle\nC: NOOP`,
    rule: /once the session is over/,
  },
  { name: "an end without the reply to QUIT", script: `${hello()}\nC: QUIT\nCLOSE`, rule: /reply to QUIT is awaited/ },
  {
    name: "a reply to NOOP that the server gave to EHLO",
    script: `${hello()}\nC: NOOP\nS: 252 x\nCREDIT NOOP 250`,
    rule: /answers its own command/,
  },
  {
    name: "a reply to a command that has none yet",
    script: `${hello()}\nC: NOOP\nCREDIT NOOP 250`,
    rule: /answers its own command/,
  },
  { name: "NOOP with a space and nothing", script: `${hello()}\nC: NOOP `, rule: /NOOP \[string\]/ },
  { name: "HELP with a space and nothing", script: `${hello()}\nC: HELP `, rule: /HELP \[string\]/ },
];
