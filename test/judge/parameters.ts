/** The parameters of MAIL and RCPT: each was offered, and has the form of its RFC. */
import type { Fail, Features } from "./transcript.ts";

type Parameter = {
  /** The extensions that define it. */
  readonly of: readonly string[];
  /** The form of its value, and its rule. */
  readonly value?: readonly [form: RegExp, rule: string];
};

const NUMBER = /^=\d{1,20}$/;
/** RFC 3461 4: `+XX` encodes characters that are not allowed. RFC 6533 3 adds characters beyond ASCII. */
const XTEXT = "(?:[!-*,-<>-~\\x80-\\xff]|\\+[0-9A-F]{2})*";

const PARAMETERS: Readonly<Record<string, Readonly<Record<string, Parameter>>>> = {
  MAIL: {
    SIZE: { of: ["SIZE"], value: [NUMBER, "RFC 1870 5: SIZE=number"] },
    BODY: { of: ["8BITMIME", "BINARYMIME"], value: [/^=(7BIT|8BITMIME|BINARYMIME)$/i, "RFC 3030 3: BODY=body-value"] },
    SMTPUTF8: { of: ["SMTPUTF8"], value: [/^$/, "RFC 6531 3.4: SMTPUTF8 has no value"] },
    RET: { of: ["DSN"], value: [/^=(FULL|HDRS)$/i, "RFC 3461 4.3: RET=FULL or HDRS"] },
    ENVID: { of: ["DSN"], value: [new RegExp(`^=(?=.)${XTEXT}$`), "RFC 3461 4: xtext"] },
    AUTH: { of: ["AUTH"], value: [new RegExp(`^=(<>|(?=.)${XTEXT})$`), "RFC 4954 5: AUTH=xtext or <>"] },
    REQUIRETLS: { of: ["REQUIRETLS"] },
    BY: { of: ["DELIVERBY"] },
    HOLDFOR: { of: ["FUTURERELEASE"], value: [/^=\d{1,9}$/, "RFC 4865 4.1: HOLDFOR=seconds"] },
    HOLDUNTIL: { of: ["FUTURERELEASE"] },
    "MT-PRIORITY": { of: ["MT-PRIORITY"] },
  },
  RCPT: {
    NOTIFY: {
      of: ["DSN"],
      value: [/^=(NEVER|(SUCCESS|FAILURE|DELAY)(,(SUCCESS|FAILURE|DELAY))*)$/i, "RFC 3461 4.1: NOTIFY=NEVER or a list"],
    },
    ORCPT: { of: ["DSN"], value: [new RegExp(`^=[!-*,-:<>-~]+;${XTEXT}$`), "RFC 3461 4: xtext"] },
    RRVS: { of: ["RRVS"] },
  },
};

/** Checks the parameters after a path. A keyword that the judge does not know must itself be offered. */
export function checkParameters(verb: "MAIL" | "RCPT", text: string, features: Features, fail: Fail): void {
  if (text === "") return;
  // RFC 5321 4.1.2: a value has no "=".
  if (!/^( [a-z0-9][a-z0-9-]*(=[^\s=]+)?)+$/i.test(text)) {
    return fail("RFC 5321 4.1.2: parameters follow the path", text);
  }
  const seen = new Set<string>();
  for (const parameter of text.trim().split(" ")) {
    const [, name = "", value = ""] = /^([^=]*)(.*)$/s.exec(parameter) ?? [];
    const keyword = name.toUpperCase();
    if (seen.has(keyword)) fail("RFC 3461 4.5: a parameter stands once", parameter);
    seen.add(keyword);
    const { of = [keyword], value: form } = PARAMETERS[verb]?.[keyword] ?? {};
    if (!of.some((extension) => features.has(extension))) {
      fail("RFC 5321 4.1.1.11: no parameter of an extension that was not offered", `${verb} ${keyword}`);
    }
    if (form !== undefined && !form[0].test(value)) fail(form[1], parameter);
    if (keyword === "BODY" && /^=BINARYMIME$/i.test(value) && !features.has("BINARYMIME")) {
      fail("RFC 3030 3: BINARYMIME is offered", parameter);
    }
  }
}
