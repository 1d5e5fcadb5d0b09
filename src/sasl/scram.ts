/**
 * SCRAM (RFC 5802, RFC 7677): proves the password without revealing it, and makes the server prove that it knows it.
 * The -PLUS forms also prove that both ends use the same TLS session.
 */
import { encodeBase64 } from "../core/base64.ts";
import { concat, utf8 } from "../core/bytes.ts";
import { SMTPException, SMTPNotSupportedError } from "../errors.ts";
import { type ChannelBinding, type ChannelBindingType, channelBinding } from "./channel-binding.ts";
import type { AuthorizingCredentials, Mechanism, MechanismContext } from "./mechanism.ts";
import { prepareCredential } from "./saslprep.ts";
import { isSame, type Proofs, prove, type ScramHash } from "./scram-keys.ts";
import { escapeName, explainServerFinal, readServerFinal, readServerFirst } from "./scram-messages.ts";

/** The credentials of SCRAM, and the identity to act as. */
export type ScramCredentials = AuthorizingCredentials;

/** The credentials of SCRAM with channel binding. */
export type ScramPlusCredentials = ScramCredentials & {
  /** The kind of binding. Default: `tls-exporter` if the TLS session has it, else `tls-server-end-point`. */
  readonly channelBinding?: ChannelBindingType | undefined;
};

/**
 * SCRAM-SHA-1 (RFC 5802). Credentials are prepared by SASLprep; those that it prohibits are used unchanged.
 * @throws TypeError if a credential is not a string, or contains NUL or a lone surrogate. @throws RangeError if it
 * contains another control character.
 */
export function scramSha1(credentials: ScramCredentials): Mechanism {
  return scram("SHA-1", credentials);
}

/** SCRAM-SHA-256 (RFC 7677); the exceptions are those of `scramSha1`. */
export function scramSha256(credentials: ScramCredentials): Mechanism {
  return scram("SHA-256", credentials);
}

/** SCRAM-SHA-512 (draft-melnikov-scram-sha-512); the exceptions are those of `scramSha1`. */
export function scramSha512(credentials: ScramCredentials): Mechanism {
  return scram("SHA-512", credentials);
}

/**
 * SCRAM-SHA-1-PLUS: with channel binding. An exchange throws `SMTPNotSupportedError` if the connection has none:
 * without TLS, or if the runtime exposes too little of its TLS.
 * @throws TypeError if a credential is not a string, or contains NUL or a lone surrogate. @throws RangeError if it
 * holds another control character, or for a kind of binding that does not exist.
 */
export function scramSha1Plus(credentials: ScramPlusCredentials): Mechanism {
  return scramPlus("SHA-1", credentials);
}

/** SCRAM-SHA-256-PLUS; the exceptions are those of `scramSha1Plus`. */
export function scramSha256Plus(credentials: ScramPlusCredentials): Mechanism {
  return scramPlus("SHA-256", credentials);
}

/** SCRAM-SHA-512-PLUS; the exceptions are those of `scramSha1Plus`. */
export function scramSha512Plus(credentials: ScramPlusCredentials): Mechanism {
  return scramPlus("SHA-512", credentials);
}

/** SCRAM without channel binding. The nonce may be given, for the examples of the RFCs. */
export function scram(hash: ScramHash, credentials: ScramCredentials, makeNonce: () => string = freshNonce): Mechanism {
  const plus = `SCRAM-${hash}-PLUS`;
  // "y": the client could bind, and the server did not offer it. A server that did offer it refuses: an attacker
  // changed the offer.
  const flag = ({ tls, offered }: MechanismContext): string =>
    offered !== undefined && !offered.includes(plus) && channelBinding(tls) !== undefined ? "y" : "n";
  return mechanism(`SCRAM-${hash}`, hash, credentials, (context) => ({ flag: flag(context) }), makeNonce);
}

/** SCRAM with channel binding. The nonce may be given, for examples. */
export function scramPlus(
  hash: ScramHash,
  credentials: ScramPlusCredentials,
  makeNonce: () => string = freshNonce,
): Mechanism {
  const name = `SCRAM-${hash}-PLUS`;
  const wanted = credentials.channelBinding;
  if (wanted !== undefined && wanted !== "tls-exporter" && wanted !== "tls-server-end-point") {
    throw new RangeError('channelBinding must be "tls-exporter" or "tls-server-end-point"');
  }
  const bound = ({ tls }: MechanismContext): Binding => {
    const binding = channelBinding(tls, wanted);
    if (binding === undefined) throw unbound(name, tls === undefined);
    return { flag: `p=${binding.type}`, binding };
  };
  return mechanism(name, hash, credentials, bound, makeNonce);
}

/** The flag of the GS2 header (RFC 5802 7), and what it announces. */
type Binding = { readonly flag: string; readonly binding?: ChannelBinding };

function mechanism(
  name: string,
  hash: ScramHash,
  credentials: ScramCredentials,
  bind: (context: MechanismContext) => Binding,
  makeNonce: () => string,
): Mechanism {
  const authzid = prepareCredential(credentials.authzid ?? "", "authzid");
  const user = prepareCredential(credentials.user, "user");
  const password = prepareCredential(credentials.password, "password");
  return {
    name,
    clearText: false,
    explain: explainServerFinal,
    *start(context) {
      const { flag, binding } = bind(context);
      const header = `${flag},${authzid === "" ? "" : `a=${escapeName(authzid)}`},`;
      const nonce = makeNonce();
      const clientFirst = `n=${escapeName(user)},r=${nonce}`;
      const challenge = yield utf8(header + clientFirst);

      const asked = readServerFirst(challenge, nonce);
      let proofs: Proofs | undefined;
      const respond = async (): Promise<Uint8Array> => {
        const bound = binding === undefined ? utf8(header) : concat([utf8(header), await binding.data()]);
        const withoutProof = `c=${encodeBase64(bound)},r=${asked.nonce}`;
        const authMessage = `${clientFirst},${new TextDecoder().decode(challenge)},${withoutProof}`;
        proofs = await prove(hash, password, asked, authMessage);
        return utf8(`${withoutProof},p=${encodeBase64(proofs.proof)}`);
      };
      // A 235 here is an empty message without a proof: parsing it throws.
      const final = readServerFinal(yield respond());
      if ("error" in final) {
        yield new Uint8Array();
        throw new SMTPException(`${name}: the server goes on after an error: ${final.error}`);
      }
      if (proofs === undefined || !isSame(final.signature, proofs.serverSignature)) {
        throw new SMTPException(`${name}: the server's signature is wrong: it does not know the password`);
      }
      yield new Uint8Array();
    },
  };
}

/** 24 random bytes in base64, which is printable and has no comma. */
function freshNonce(): string {
  return encodeBase64(crypto.getRandomValues(new Uint8Array(24)));
}

function unbound(name: string, inClear: boolean): SMTPNotSupportedError {
  const why = inClear
    ? "this connection is not encrypted: call starttls() first, or use SMTP_SSL"
    : "the transport tells neither keying material of TLS 1.3 nor a certificate that can be bound to";
  return new SMTPNotSupportedError(`${name} needs channel binding, but ${why}`, {
    capability: inClear ? "STARTTLS" : undefined,
    delivery: "not-sent",
  });
}
