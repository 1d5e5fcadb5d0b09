/** Faults of content, by DATA and by BDAT. */
import { envelope, hello, type Planted, toContent } from "./script.ts";

export const CONTENT: readonly Planted[] = [
  {
    name: "content in the group of DATA",
    script: `${hello("PIPELINING")}\nC: MAIL FROM:<a@x.test>\nC+ RCPT TO:<b@y.test>\nC+ DATA\nC+ Subject: x`,
    rule: /ends a group/,
    also: /no such command/,
  },
  {
    name: "MAIL behind an unanswered BDAT LAST, without RSET",
    script: `${hello("PIPELINING", "CHUNKING")}\n${envelope}\nC: BDAT 0 LAST\nC+ MAIL FROM:<a@x.test>`,
    rule: /4\.1\.4/,
  },
  {
    name: "content after 250 to DATA",
    script: `${hello()}\n${envelope}\nC: DATA\nS: 250 ok\nC: Subject: x\nC: More: y`,
    rule: /without PIPELINING/,
    also: /no such command/,
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
    also: /no such command/,
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
    name: "content after an early refusal",
    script: `${hello()}\n${toContent}\nC: Subject: x\nS: 552 too big\nC: more`,
    rule: /once the session is over/,
  },
  {
    name: "content after 250 to DATA, with PIPELINING",
    script: `${hello("PIPELINING")}\n${envelope}\nC: DATA\nS: 250 ok\nC: Subject: x`,
    rule: /no such command/,
  },
  {
    name: "content to a server that accepted nobody",
    script: `${hello("PIPELINING")}\nC: MAIL FROM:<a@x.test>\nC+ RCPT TO:<b@y.test>\nC+ DATA\nS: 250 ok\nS: 550 no\nS: 354 go\nC: x\nC+ .`,
    rule: /accepted nobody/,
  },
  {
    name: "8 bits that are not declared",
    script: `${hello("8BITMIME")}\n${toContent}\nC: gr\\xc3\\xbcn`,
    rule: /6152/,
  },
  {
    name: "8 bits that are declared to be seven",
    script: `${hello("8BITMIME")}\n${toContent}\nC: gr\\xc3\\xbcn`.replace("@x.test>", "@x.test> BODY=7BIT"),
    rule: /6152/,
  },
  {
    name: "a bare LF in a chunk",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 4 LAST\nC~ a\\nb\\n`,
    rule: /bare LF/,
  },
  {
    name: "a bare CR at the end of the last chunk",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 2 LAST\nC~ a\\r`,
    rule: /bare CR/,
  },
  {
    name: "a bare CR between two chunks",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 2\nC~ a\\r\nS: 250 ok\nC: BDAT 3 LAST\nC+ b`,
    rule: /bare CR/,
  },
  {
    name: "a chunk that is longer than it says",
    script: `${hello("CHUNKING", "PIPELINING")}\n${envelope}\nC: BDAT 3 LAST\nC+ x\nC+ y`,
    rule: /no such command/,
  },
  {
    name: "a chunk that is shorter than it says",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 300 LAST\nC+ x\nC: QUIT\nCLOSE`,
    rule: /as many octets/,
    also: /QUIT before/,
  },
  { name: "BDAT without a size", script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT LAST`, rule: /chunk-size/ },
  {
    name: "BDAT with something else behind its size",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 0 FIRST`,
    rule: /chunk-size/,
  },
  { name: "BDAT without MAIL", script: `${hello("CHUNKING")}\nC: BDAT 0 LAST`, rule: /no BDAT without MAIL/ },
  {
    name: "BDAT LAST after a chunk that was refused",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 3\nC+ x\nS: 452 no\nC: BDAT 0 LAST`,
    rule: /one that was refused/,
  },
  {
    name: "NOOP after a chunk that was refused, without RSET",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 3\nC+ x\nS: 452 no\nC: NOOP`,
    rule: /RSET follows/,
  },
  {
    name: "VRFY after the last chunk was refused, without RSET",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 3 LAST\nC+ x\nS: 554 no\nC: VRFY b`,
    rule: /RSET follows/,
  },
  {
    name: "MAIL after the last chunk was refused, without RSET",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 3 LAST\nC+ x\nS: 554 no\nC: MAIL FROM:<a@x.test>`,
    rule: /RSET follows/,
    also: /4\.1\.4/,
  },
  {
    name: "DATA behind a chunk",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 3\nC+ x\nS: 250 ok\nC: DATA`,
    rule: /no DATA behind BDAT/,
  },
  {
    name: "RCPT behind a chunk",
    script: `${hello("CHUNKING")}\n${envelope}\nC: BDAT 3\nC+ x\nS: 250 ok\nC: RCPT TO:<c@y.test>`,
    rule: /before the content/,
  },
  {
    name: "BINARYMIME by DATA",
    script: `${hello("CHUNKING", "BINARYMIME")}\n${envelope}\nC: DATA`.replace("@x.test>", "@x.test> BODY=BINARYMIME"),
    rule: /goes by BDAT/,
  },
];
