/** Faults in the order and the parameters of MAIL, RCPT and DATA. */
import { envelope, hello, message, type Planted } from "./script.ts";

export const TRANSACTIONS: readonly Planted[] = [
  { name: "MAIL without EHLO", script: "S: 220 hi\nC: MAIL FROM:<a@x.test>", rule: /4\.1\.1\.1/ },
  {
    name: "EHLO and MAIL in one group",
    script: `${hello("PIPELINING")}\nC: EHLO client.test\nC+ MAIL FROM:<a@x.test>`,
    rule: /ends a group/,
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
  { name: "a source route", script: `${hello()}\nC: MAIL FROM:<@h.test:a@x.test>`, rule: /source route/ },
  { name: "a space in a path", script: `${hello()}\nC: MAIL FROM:<a b@x.test>`, rule: /path is a mailbox/ },
  {
    name: "two mailboxes in a path",
    script: `${hello()}\nC: MAIL FROM:<a@x.test,b@x.test>`,
    rule: /path is a mailbox/,
  },
  { name: "two paths", script: `${hello()}\nC: MAIL FROM:<a@x.test><b@x.test>`, rule: /parameters follow/ },
  { name: "a path that ends early", script: `${hello()}\nC: MAIL FROM:<a>@x.test>`, rule: /parameters follow/ },
  {
    name: "parameters without a space",
    script: `${hello("SIZE")}\nC: MAIL FROM:<a@x.test>SIZE=1`,
    rule: /parameters follow/,
  },
  {
    name: "a parameter whose value has a =",
    script: `${hello("DSN")}\nC: MAIL FROM:<a@x.test> ENVID=a=b`,
    rule: /parameters follow/,
  },
  {
    name: "a parameter without a value behind its =",
    script: `${hello("SIZE")}\nC: MAIL FROM:<a@x.test> SIZE=`,
    rule: /parameters follow/,
  },
  {
    name: "one parameter twice",
    script: `${hello("SIZE")}\nC: MAIL FROM:<a@x.test> SIZE=1 SIZE=2`,
    rule: /stands once/,
  },
  {
    name: "a parameter that no extension has",
    script: `${hello()}\nC: MAIL FROM:<a@x.test> XSHARD=1`,
    rule: /4\.1\.1\.11/,
  },
  {
    name: "SMTPUTF8 with a value",
    script: `${hello("SMTPUTF8")}\nC: MAIL FROM:<a@x.test> SMTPUTF8=1`,
    rule: /SMTPUTF8 has no value/,
  },
  {
    name: "a sender that is not ASCII without SMTPUTF8 behind it",
    script: `${hello("SMTPUTF8")}\nC: MAIL FROM:<\\xc3\\xbc@x.test>`,
    rule: /SMTPUTF8 announces/,
  },
  {
    name: "a recipient that is not ASCII without SMTPUTF8 at MAIL",
    script: `${hello("SMTPUTF8")}\nC: MAIL FROM:<a@x.test>\nS: 250 ok\nC: RCPT TO:<\\xc3\\xbc@x.test>`,
    rule: /SMTPUTF8 announces/,
  },
  {
    name: "an address in latin1",
    script: `${hello("SMTPUTF8")}\nC: MAIL FROM:<\\xfc@x.test> SMTPUTF8`,
    rule: /is UTF-8/,
  },
  {
    name: "BODY with a value of nobody's",
    script: `${hello("8BITMIME")}\nC: MAIL FROM:<a@x.test> BODY=9BIT`,
    rule: /body-value/,
  },
  { name: "ENVID that is no xtext", script: `${hello("DSN")}\nC: MAIL FROM:<a@x.test> ENVID=a+b`, rule: /xtext/ },
  { name: "RET of half a message", script: `${hello("DSN")}\nC: MAIL FROM:<a@x.test> RET=HALF`, rule: /RET=FULL/ },
  {
    name: "AUTH= that is no xtext",
    script: `${hello("AUTH PLAIN")}\nC: MAIL FROM:<a@x.test> AUTH=a+@x`,
    rule: /AUTH=xtext/,
  },
  {
    name: "NOTIFY=NEVER and more",
    script: `${hello("DSN")}\nC: MAIL FROM:<a@x.test>\nS: 250 ok\nC: RCPT TO:<b@y.test> NOTIFY=NEVER,DELAY`,
    rule: /NOTIFY=NEVER/,
  },
  {
    name: "ORCPT without a type",
    script: `${hello("DSN")}\nC: MAIL FROM:<a@x.test>\nS: 250 ok\nC: RCPT TO:<b@y.test> ORCPT=b@y.test`,
    rule: /xtext/,
  },
  { name: "DATA with an argument", script: `${hello()}\n${envelope}\nC: DATA now`, rule: /no argument/ },
  {
    name: "RCPT behind a message",
    script: `${hello()}\n${message}\nC: RCPT TO:<b@y.test>`,
    rule: /no RCPT without MAIL/,
  },
  {
    name: "MAIL after MAIL was refused and RCPT accepted, without RSET",
    script: `${hello("PIPELINING")}\nC: MAIL FROM:<a@x.test>\nS: 550 no\nC: RCPT TO:<b@y.test>`,
    rule: /no RCPT without MAIL/,
  },
  { name: "a quoted string that does not end", script: `${hello()}\nC: MAIL FROM:<a"b@x.test>`, rule: /one path/ },
  {
    name: "HOLDFOR without a number",
    script: `${hello("FUTURERELEASE 9 x")}\nC: MAIL FROM:<a@x.test> HOLDFOR=soon`,
    rule: /HOLDFOR=seconds/,
  },
];
