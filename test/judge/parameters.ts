/** Which extension each ESMTP parameter belongs to (RFC 5321 4.1.1.11): none is sent that was not offered. */
import type { Fault } from "./content.ts";

const OWNER: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  MAIL: {
    SIZE: ["SIZE"],
    BODY: ["8BITMIME", "BINARYMIME"],
    SMTPUTF8: ["SMTPUTF8"],
    RET: ["DSN"],
    ENVID: ["DSN"],
    AUTH: ["AUTH"],
    REQUIRETLS: ["REQUIRETLS"],
    BY: ["DELIVERBY"],
    HOLDFOR: ["FUTURERELEASE"],
    HOLDUNTIL: ["FUTURERELEASE"],
    "MT-PRIORITY": ["MT-PRIORITY"],
  },
  RCPT: { NOTIFY: ["DSN"], ORCPT: ["DSN"], RRVS: ["RRVS"] },
};

/** What is wrong with the parameters behind a path. Parameters of extensions that the judge does not know pass. */
export function checkParameters(verb: "MAIL" | "RCPT", text: string, features: ReadonlyMap<string, string>): Fault[] {
  if (text === "") return [];
  if (!/^( [^\s=]+(=[^\s=]*(=[^\s]*)?)?)+$/.test(text)) return [["RFC 5321 4.1.2: parameters follow the path", text]];
  const faults: Fault[] = [];
  for (const parameter of text.trim().split(" ")) {
    const [keyword = "", value = ""] = parameter.toUpperCase().split("=", 2);
    const owners = OWNER[verb]?.[keyword];
    if (owners !== undefined && !owners.some((owner) => features.has(owner))) {
      faults.push(["RFC 5321 4.1.1.11: no parameter of an extension that was not offered", `${verb} ${keyword}`]);
    }
    if (keyword === "SIZE" && !/^\d{1,20}$/.test(value)) faults.push(["RFC 1870 5: SIZE=number", parameter]);
    if (keyword === "BODY" && value === "BINARYMIME" && !features.has("BINARYMIME")) {
      faults.push(["RFC 3030 3: BINARYMIME is offered", parameter]);
    }
    if (/^(ENVID|ORCPT)$/.test(keyword) && /[^\x21-\x7e]/.test(value)) faults.push(["RFC 3461 4: xtext", parameter]);
  }
  return faults;
}
