/** The tables of docs/trust.md, created from the results. */
import { WORTHS, type Worth, worst } from "./claims.ts";
import { EXPLANATIONS, explanationOf } from "./explanations.ts";
import { CLIENTS, type Client, type Results, worthOfCell } from "./results.ts";
import type { Script } from "./scripts.ts";

const BEGIN = "<!-- peers: written by `node scripts/peers.mjs` -->";
const END = "<!-- /peers -->";

/** The document, with the tables of these results between its marks. */
export function withTables(document: string, scripts: readonly Script[], results: Results): string {
  const [before, rest] = document.split(BEGIN);
  const [, after] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined) throw new Error(`docs/trust.md lacks the marks ${BEGIN} and ${END}`);
  const parts = [summary(scripts, results), classes(scripts, results), explanations(scripts, results)];
  return `${before}${BEGIN}\n\n${parts.join("\n\n")}\n\n${END}${after}`;
}

const MEANINGS: Readonly<Record<Worth, string>> = {
  right: "right",
  open: "**open**: says that it does not know, and nobody can",
  silent: "**silent**: fails without saying whether the message was delivered",
  denied: "**denied**: says refused, and it was delivered",
  doubled: "**doubled**: says not delivered, try again, and it was delivered",
  lost: "**lost**: says delivered, and it was not",
};

function summary(scripts: readonly Script[], results: Results): string {
  const count = (client: Client, worth: Worth): number =>
    scripts.filter(({ id }) => worthIn(results, id, client) === worth).length;
  const names = CLIENTS.map((client) => `${client} ${results.versions[client]}`);
  return table(
    [`what is claimed in ${scripts.length} scripts`, ...names],
    WORTHS.map((worth) => [MEANINGS[worth], ...CLIENTS.map((client) => String(count(client, worth)))]),
  );
}

/** A row for all faults of one place with the same results; faults without a wrong claim are left out. */
function classes(scripts: readonly Script[], results: Results): string {
  const faults = new Map<string, { group: string; fault: string; worths: Worth[][] }>();
  for (const { id, group, fault } of scripts) {
    const known = faults.get(`${group} ${fault}`) ?? { group, fault, worths: CLIENTS.map(() => []) };
    CLIENTS.forEach((client, index) => void known.worths[index]?.push(worthIn(results, id, client)));
    faults.set(`${group} ${fault}`, known);
  }
  const rows = new Map<string, { group: string; faults: string[]; cells: readonly string[] }>();
  for (const { group, fault, worths } of faults.values()) {
    const cells = worths.map((of) => (worst(of) === "right" ? "" : worst(of)));
    if (cells.every((cell) => cell === "")) continue;
    const key = [group, ...cells].join();
    const row = rows.get(key) ?? { group, faults: [], cells };
    row.faults.push(fault);
    rows.set(key, row);
  }
  return table(
    ["the server, in the place of the reply to", "sends", ...CLIENTS],
    [...rows.values()].map(({ group, faults: of, cells }) => [nameOf(group), shortened(of).join("; "), ...cells]),
  );
}

/** The faults that the document calls "no complete reply". */
const NO_REPLY = [
  "text without a code",
  "half of the right reply, then a close",
  "half of the right reply, then silence",
  "the first line of many, then a close",
  "a close",
  "a reset",
  "silence",
];

/** The faults, with one name for the list above if it is complete, also for the second of three recipients. */
function shortened(faults: readonly string[]): string[] {
  const left = ["", " (to the second of three)"].reduce<readonly string[]>((rest, suffix) => {
    const all = NO_REPLY.map((fault) => fault + suffix);
    if (!all.every((fault) => rest.includes(fault))) return rest;
    return [`no complete reply${suffix}`, ...rest.filter((fault) => !all.includes(fault))];
  }, faults);
  const second = (fault: string): string => `${fault} (to the second of three)`;
  return left
    .filter((fault) => !left.some((other) => second(other) === fault))
    .map((fault) => (left.includes(second(fault)) ? `${fault} (also to the second of three)` : fault));
}

function nameOf(group: string): string {
  if (group === ".") return "the end of the message";
  if (group === "body") return "the middle of the message";
  return group === "LMTP" ? "the end, by LMTP, for three recipients" : group;
}

function explanations(scripts: readonly Script[], results: Results): string {
  const counts = new Map<string, number>();
  for (const { id } of scripts) {
    for (const client of CLIENTS) {
      const worth = worthIn(results, id, client);
      if (worth === "right") continue;
      const found = explanationOf(client, worth, id);
      if (found === undefined) throw new Error(`${client}, ${worth}, lacks an explanation: ${id}`);
      const key = `${client} · ${worth} · ${found.why}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  const rows = EXPLANATIONS.flatMap(({ client, worth, why }) => {
    const count = counts.get(`${client} · ${worth} · ${why}`);
    return count === undefined ? [] : [[client, worth, String(count), why]];
  });
  return table(["client", "claim", "scripts", "because"], rows);
}

function worthIn(results: Results, id: string, client: Client): Worth {
  const row = results.rows[id];
  if (row === undefined) throw new Error(`results.json lacks the script ${id}: run node scripts/peers.mjs`);
  return worthOfCell(row[client]);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
