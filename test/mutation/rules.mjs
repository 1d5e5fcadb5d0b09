/**
 * Breaks that would be a vulnerability: injected commands, smuggled messages, stripped or unverified TLS, leaked
 * credentials, replies that answer something else, messages that are sent twice, and false reports. Each names its rule
 * of SECURITY.md, and the tests that must notice it. Stryker makes all other changes.
 */

const hostile = (...names) => names.map((name) => `test/hostile/${name}.test.ts`);
const CONTRACT = ["test/transports/node.test.ts"];
const HEADERS = ["test/core/headers.test.ts"];
const REFUSALS = ["test/pool/refusals.test.ts"];
const RETRIES = ["test/pool", "test/hostile/pool.test.ts", "test/hostile/pool-ledger.test.ts"];
const URLS = ["test/pool/url.test.ts"];
const NO_BDAT = ["test/client/chunking-option.test.ts"];
const SCRAM = ["test/sasl/scram.test.ts", ...hostile("scram")];
const BINDING = ["test/sasl/scram.test.ts", "test/facade/channel-binding.test.ts"];

/**
 * The number of the rule, the broken property, a text that occurs once in all sources, its replacement, and the tests;
 * then further texts and replacements, if two places enforce a rule.
 */
// biome-ignore format: a table, a row a line
const BREAKS = [
  // Commands and recipients of an attacker
  ["1.1", "CR and LF may stand in an argument", "FORBIDDEN = /[\\x00-\\x1f", "FORBIDDEN = /[\\x00-\\x09\\x0e-\\x1f", hostile("injection")],
  ["1.1", "a number is written as it is given", "option: string): number {", "option: string): number {\n  if (value) return value as number;", hostile("injection")],
  ["1.2", "commands are cut to bytes instead of encoded as UTF-8", "at += encoder.encodeInto(part, at === 0 ? piece : piece.subarray(at)).written;", "for (const one of part) piece[at++] = one.charCodeAt(0);", hostile("injection")],
  ["1.3", "an argument that is no string is made one", 'if (typeof text !== "string") throw wrongType(argument', 'if (typeof text !== "string") text = String(text); if (false) throw wrongType(argument', hostile("injection")],
  ["1.3", "options are read again after their check", "const copy = structuredClone(options);", "const copy = options;", hostile("injection")],
  ["1.4", "one parameter may be two", 'text === "" || text.includes(" ")', 'text === ""', hostile("injection")],
  ["1.5", "a quoted @ ends the local part", 'this.#words.indexOf("@", this.#quoted)', 'this.#words.indexOf("@")', hostile("injection")],
  ["1.5", "one entry may be several recipients", 'this.#fail("more than one address")', "undefined", hostile("injection")],
  ["1.5", "an address before the angle bracket is a display name", "this.#fail('another address before the \"<\"')", "undefined", hostile("injection")],
  ["1.5", "a Bcc field goes out", 'field?.name === "bcc" || ', "", HEADERS],
  ["1.5", "a Bcc behind a line that is no field goes out", 'refuseStray(stray, ["bcc", "resent-bcc"]);', "", HEADERS],
  ["1.8", "what the server offers has a prototype", "return Object.create(null);", "return {};", hostile("injection")],
  ["1.8", "refused recipients have a prototype", /(const refused: Refused = )Object.create\(null\)(;\s+for \(const \[index, recipient\])/, "$1{}$2", hostile("injection")],

  // Messages that one server sees and another does not
  ["2.1", "a lone LF stays one", "after === LF) return before !== CR", "after === LF) return false", hostile("smuggling")],
  ["2.1", "a lone CR stays one", "return before === CR ||", "return", hostile("smuggling")],
  ["2.1", "the search of long messages passes over dots", "(bytes[i + 1] !== LF || bytes[i + 2] === DOT)", "bytes[i + 1] !== LF", ["test/core/body.test.ts"]],
  ["2.1", "the search of short messages passes over dots", " | dots(words, i) | dots(words, i + 4);", ";", hostile("smuggling")],
  ["2.1", "memory is used again while it is on its way", "output.length + unsent <= given - oldest.end", "unsent < given", ["test/client/reused-memory.test.ts"]],
  ["2.1", "a socket says too early that it has done with memory", "? this.#socket.writableLength : undefined", "? 0 : undefined", CONTRACT],
  ["2.2", "a dot at the start of the message is not doubled", "#last = LF;", "#last = 0;", hostile("smuggling")],
  ["2.2", "a CR at the end of a chunk is forgotten", "needsInsertion(last, first,", "last === LF && needsInsertion(last, first,", hostile("smuggling")],
  ["2.4", "250 to DATA is taken for 354", 'after: ["command", "body", "command", "command"], only: 354', 'after: ["body", "body", "command", "command"]', hostile("smuggling"), [["this.#data.code !== 354 ?", "this.#data.code >= 400 ?"]]],
  ["2.4", "250 to DATA is taken for 354 by data()", "reply.code === 354\n", "reply.code < 400\n", hostile("smuggling")],
  ["2.5", "8 bits go to a server without 8BITMIME", "if (sevenBitOnly && eightBit) throw", "if (false) throw", hostile("smuggling")],
  ["7.1", "commands are pipelined although that is not offered", 'pipelining !== false && offers(known.features, "PIPELINING")', "pipelining !== false", hostile("pipelining")],
  ["2.2", "a dot is not doubled on its way into memory", "if (dots === 0) return this.addBytes(content);", "return this.addBytes(content);", hostile("smuggling")],
  ["7.2", "354 for nobody is answered with the message of a group", "this.isAccepted ? undefined : this.#answers().refusal()", "undefined", hostile("pipelining")],
  ["7.2", "a group goes on behind a 3yz that is not 354", "count === last ? code !== 354 : code >= 300", "code >= 400", hostile("smuggling", "replies")],
  ["7.2", "354 for nobody is answered with the message", "this.#endEmpty(this.#data, refusal)", "this.#data.start(1, false)", hostile("pipelining")],
  ["7.3", "no RSET after a transaction that failed", "this.#endEmpty(this.#data, refusal);\n    else void rejectAfterReset(this.#connection, this.#observer, refusal)", "this.#endEmpty(this.#data, refusal);\n    else this.#observer.reject(refusal)", hostile("smuggling", "pipelining")],
  ["7.3", "no RSET after a group that failed", "} else void rejectAfterReset(connection, this.#observer, refusal)", "} else this.#observer.reject(refusal)", hostile("pipelining")],
  ["7.3", "no RSET before MAIL in an open transaction", 'if (this.#connection.dialogue.transactionOpen) commands', "if (false) commands", hostile("pipelining")],
  ["7.3", "a message in one flight does not begin with RSET", 'let wire = `RSET\\r\\n', 'let wire = `NOOP\\r\\n', hostile("chunking")],
  ["7.3", "a refused RSET is passed over", "reply === undefined || !isPositive(reply.code)", "false", hostile("replies")],
  ["7.4", "no RSET before what follows a refused chunk", "this.#chunkRefused && ", "false && ", ["test/client/chunking.test.ts"]],
  ...[500, 502, 504].map((code) => ["12.1", `${code} to BDAT, whose content ran as commands, is a refusal`, "new Set([500, 502, 504])", `new Set([500, 502, 504].filter((one) => one !== ${code}))`, NO_BDAT]),
  ["12.1", "a connection whose server does not know BDAT is used again", "return this.giveUp(unknown)", "return this.#stop()?.undelivered(unknown)", NO_BDAT],
  ["12.1", "BDAT goes again to a server that does not know it", "this.#bdatUnknown = !insists;", "", NO_BDAT],

  // TLS that an attacker strips or reads
  ["3.1", "clear text behind the 220 is passed over", "if (connection.dialogue.hasUnreadBytes) {", "if (false) {", hostile("tls")],
  ["3.1", "what was said in clear is not forgotten", "session.resetServerInfo();\n  await handshake", "await handshake", hostile("tls")],
  ["3.2", "STARTTLS that is not offered goes unnoticed", /if \(!offers\([^)]*"STARTTLS"\)\)( \{\s+const missing)/, "if (false)$1", hostile("tls")],
  ["3.2", "a refused STARTTLS is passed over", "if (reply.code !== 220) throw new SMTPResponseException", "if (reply.code !== 220) return reply; if (false) throw new SMTPResponseException", hostile("tls")],
  ["3.4", "certificates are not verified by default", "rejectUnauthorized = true", "rejectUnauthorized = false", hostile("tls")],
  ["3.4", "TLS 1.0 will do", 'minVersion = "TLSv1.2" }', 'minVersion = "TLSv1" }', CONTRACT],
  ["3.4", "the name in the certificate is not looked at", /return [^;]*checkServerIdentity\(servername, certificate\);/, "return undefined;", hostile("tls")],
  ["3.4", "a pinned fingerprint is not compared", "if (pins !== undefined && !pinned) throw", "if (false) throw", hostile("tls")],
  ["3.4", "STARTTLS does not verify the host that was asked for", "session.host));", '"localhost"));', [...hostile("tls"), "test/facade/starttls.test.ts"]],
  ["3.5", "the end of the connection ends a line", "if (bytes === null) return", "if (bytes === null) this.dispatch(dialogue.receive(new Uint8Array([13, 10])));\n        if (bytes === null) return", hostile("faults")],

  // Credentials
  ["3.6", "a password goes in clear", "if (allow || peer.tls !== undefined || peer.loopback) return;", "return;", hostile("auth")],
  ["8.1", "a server's echo of the secret is shown", "command.hide(rest)", "rest", hostile("auth", "echoes")],
  ["8.1", "a challenge is shown", "code === 334 ? MASK : ", "", [...hostile("auth"), "test/facade"]],
  ["8.2", "mechanisms are tried that are not offered", ".filter((name) => offers.has(name))", "", hostile("auth")],
  ["8.3", "a credential may hold NUL", 'if (value.includes("\\0")) throw', "if (false) throw", [...hostile("auth"), "test/sasl"], [["CONTROL = /[\\x00-", "CONTROL = /[\\x01-"]]],
  ["8.4", "challenges are answered without end", "MOST_CHALLENGES = 5", "MOST_CHALLENGES = Number.POSITIVE_INFINITY", hostile("auth")],
  ["8.5", "a server's JSON shows the token", "connection.redact(String(value))", "String(value)", hostile("scram")],
  ["8.5", "an expired token is sent again", "if (refusal !== undefined && given === this.#last) throw refusal;", "", ["test/client/authenticate-with.test.ts"]],
  ["8.6", "a nonce of anybody's will do", "!nonce.startsWith(ownNonce) || ", "", SCRAM],
  ["8.6", "an extension that is demanded is passed over", "if (/(?:^|,)m=/.test(text))", "if (false)", SCRAM],
  ["8.6", "one iteration is enough", "least: 4096", "least: 1", SCRAM],
  ["8.6", "a billion iterations are done", "iterations > ITERATIONS.most", "false", SCRAM],
  ["8.6", "a signature is believed unseen", "|| !isSame(final.signature, proofs.serverSignature)", "", SCRAM],
  ["8.6", "a signature that begins right will do", "if (left.length !== right.length) return false;", "", SCRAM],
  ["8.6", "235 without a signature is a login", "exchange.accepted();", "", ["test/sasl", "test/client/authenticate-with.test.ts", ...hostile("auth")]],
  ["8.6", "a connection whose server proved nothing is kept", /(connection\.authenticated = false;\s+)connection\.drop/, "$1void ", SCRAM],
  ["8.6", "channel binding is left out of the proof", "concat([utf8(header), await binding.data()])", "utf8(header)", BINDING],
  ["8.6", "a server without an offer is not told that the client could bind", '? "y" : "n"', '? "n" : "n"', BINDING],
  ["8.7", "any yes is a login", "if (reply.code === 235) proven", "if (reply.code < 300) proven", hostile("auth")],
  ["8.7", "503 is a login", "reply.code !== 503 || !before", "reply.code !== 503", hostile("auth")],
  ["9.3", "connections sign on together before a login has succeeded", "return this.#first === undefined ? 1 : 0;", "return Number.POSITIVE_INFINITY;", REFUSALS],
  ["9.3", "connections sign on together after a login was refused", "if (refusal !== undefined) this.#isOpen = !this.#guarded;", "this.#isOpen = true;", REFUSALS],
  ["9.3", "a lasting refusal is tried again", "isPermanent(error) && !isGivenUp ? { error } : undefined", "undefined", REFUSALS],
  ["12.2", "a second @ in a connection URL is passed over", "if (more !== undefined) throw misread();", "", URLS],
  ["12.2", "a connection URL of another scheme stands in the message", "throw new TypeError(`a connection URL begins", "throw new TypeError(text + `a connection URL begins", URLS],
  ["12.2", "a parameter that may be half a password stands in the message", "/^[a-z_]{1,30}$/i.test(name) ?", "true ?", URLS],
  ["12.3", "a pool asks for a token in the context of another message", "this.queue.runInContextOf(index, () => this.#connector.open())", "this.#connector.open()", ["test/client/contexts.test.ts"]],

  // Replies that answer something else, or never end
  ["4.2", "the codes of a reply may differ", "code !== first && !isRefusalBehindGreeting(first, code)", "false", hostile("replies")],
  ["4.3", "a reply that nothing asked for answers the next command", "fault: this.#surplus()", "fault: undefined", hostile("replies"), [["else if (dialogue.hasUnreadBytes) {", "else if (false) {"]]],
  ["4.3", "half a reply that nothing asked for answers the next command", "else if (dialogue.hasUnreadBytes) {", "else if (false) {", hostile("replies")],
  ["4.3", "half a reply answers a chunk", /this\.#connection\.rejectUnsolicited\(\);(\s+if [^;]*;\s+this\.#hold)/, "$1", hostile("chunking")],
  ["4.3", "half a reply answers the next recipient", /connection\.rejectUnsolicited\(\);(\s+if [^;]*;\s+const end)/, "$1", hostile("chunking")],
  ["4.5", "a line may be of any length", "if (this.#heldLength + stop - start > mostInLine) {", "if (false) {", hostile("replies")],
  ["4.5", "a reply may be of any length", "this.#octets > mostOctets || ", "", hostile("replies")],
  ["4.5", "a reply may have any number of lines", " || this.#lineCount >= mostOctets / 64", "", hostile("replies")],
  ["4.6", "control characters of the server reach the terminal", ".replace(/[\\x00-\\x1f\\x7f-\\x9f]/g, escaped)", "", hostile("replies", "surroundings")],
  ["4.7", "any greeting will do", "if (greeting.code === 220) return greeting;", "return greeting;", hostile("replies")],

  // False reports, and messages that are sent twice
  ["6.1", "a lost final reply means that nothing was sent", 'this.#undelivered(hasLeft ? "unknown" : "not-sent")', 'this.#undelivered("not-sent")', hostile("faults")],
  ["6.1", "a reply lost after BDAT LAST means that nothing was sent", /(const delivery = )[^;]*(;\s+this\.#unknownBy)/, '$1"not-sent"$2', hostile("chunking")],
  ["6.1", "421 to a recipient refuses a message that is on its way", "(answers.isHopeless && answers.refusal())", "answers.refusal()", hostile("chunking")],
  ["6.1", "a lost final reply to a group means that nothing was sent", 'hasLeft ? "unknown" : "not-sent" }', '"not-sent" }', hostile("faults")],
  ["6.1", "a refused message of a group is a success", "if (this.isAccepted) return this.#observer.resolve(", "if (true) return this.#observer.resolve(", hostile("end-of-data", "replies")],
  ["6.2", "an answer to a group's message that is here before it counts", "else if (this.#sentAt === undefined) this.#earlyReplyTransfer()", "else if (false) this.#earlyReplyTransfer()", hostile("body-abort", "pipelining", "replies")],
  ["6.2", "a group's message is sent behind half an answer to it", "if (dialogue.hasUnreadBytes) return this.#earlyReplyTransfer()", "if (false) return this.#earlyReplyTransfer()", hostile("body-abort", "pipelining", "replies")],
  ["6.2", "an early yes is a success", "if (!this.#endHandedOver) return", "if (!this.#endHandedOver && reply.code >= 400) return", hostile("body-abort")],
  ["6.4", "a body whose source failed is ended", /(chunks\?\.cancel\(\);\s+)(const message)/, "$1if (!writer.over) return writer.end();\n    $2", hostile("body-abort", "chunking")],
  ["7.2", "the answer to an empty message counts", "endCommand.receiver = { replied: fail,", "endCommand.receiver = { replied: (_, reply) => this.complete([reply]),", hostile("pipelining"), [["last === undefined || this.isHopeless) return", "last === undefined) return"]]],
  ["7.4", "a message of which a part was refused is a success", /if \(this\.#refusal !== undefined\) (\{\s+\/\/ The server accepted)/, "if (false) $1", [...hostile("chunking"), "test/client/chunking.test.ts"]],
  ["7.5", "LMTP reads one reply to the message", 'if (this.#isLmtp && this.#position !== "body") {', "if (false) {", hostile("lmtp")],
  ["7.5", "LMTP reads one reply to a message in one flight", "final > 0 && (!this.#isLmtp || final >= this.#accepted)", "final > 0", ["test/core/flight-group.test.ts"]],
  ["7.5", "LMTP takes the first reply for all recipients", "(final.next().value ?? reply)", "(finalReplies[0] ?? reply)", hostile("lmtp")],
  ["9.1", "a message that may have been taken is sent again", 'return error.delivery === "not-sent";', "return true;", RETRIES],
  ["9.1", "a message that met a timeout is sent again", "if (error instanceof SMTPTimeoutError) return false;", "", RETRIES],
];

/** The breaks, each with its edits. */
export const RULES = BREAKS.map(([rule, broken, from, to, tests, others = []]) => ({
  rule,
  broken,
  tests,
  edits: [[from, to], ...others].map(([text, other]) => ({ from: text, to: other })),
}));
