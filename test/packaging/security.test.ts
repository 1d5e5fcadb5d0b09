/**
 * The tests that SECURITY.md names exist, and each group of scenarios is played.
 *
 * @node Each runtime would read the same files.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const text = readFileSync(join(root, "SECURITY.md"), "utf8");
const scripts: object = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts;

const folder = join(root, "test/hostile");
const declared = readdirSync(folder)
  .filter((name) => name.endsWith(".test.ts"))
  .flatMap((name) => [
    ...readFileSync(join(folder, name), "utf8").matchAll(/(?:scenarios\(\s*"([^"]+)"|describe\("\[([^\]"]+)\]")/g),
  ])
  .map(([, scenarios, described]) => scenarios ?? described ?? "");

/** The sources and the tests, with their paths. */
const sources = ["src", "transports", "test"].flatMap((top) =>
  readdirSync(join(root, top), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name): [file: string, code: string] => [`${top}/${name}`, readFileSync(join(root, top, name), "utf8")]),
);

/** The files that `a/{b,c}*.ts` matches, without their suffixes. */
function filesOf(path: string): readonly string[] {
  const [, before = path, choices = "", after = ""] = /^(.*)\{(.*)\}(.*)$/.exec(path) ?? [];
  return choices === "" ? [path] : choices.split(",").map((choice) => before + choice + after);
}

const paths = [...text.matchAll(/`(test\/[^`\s]+)`/g)].flatMap(([, path = ""]) => filesOf(path));
const groups = [...text.matchAll(/`\[([^\]]+)\]`/g)].map(([, group = ""]) => group);
const commands = [...text.matchAll(/`npm run ([\w:]+)`/g)].map(([, command = ""]) => command);

test.each([...new Set(paths)])("there is %s", (path) => {
  const star = path.replace("*.ts", ".ts");
  expect(existsSync(join(root, star))).toBe(true);
});

test.each([...new Set(groups)])("scenarios are played for [%s]", (group) => {
  const start = group.replace("…", "");
  expect(declared.filter((name) => (group.endsWith("…") ? name.startsWith(start) : name === group))).not.toEqual([]);
});

test.each([...new Set(commands)])("there is npm run %s", (command) => {
  expect(scripts).toHaveProperty([command]);
});

/** `SECURITY.md, rule 3` and `rules 1, 2 and 3` in comments. */
const cited = sources.flatMap(([file, code]) =>
  [...code.matchAll(/SECURITY\.md, rules? (\d+(?:(?:, | and )\d+)*)/g)].flatMap(([, numbers = ""]) =>
    numbers.split(/, | and /).map((number) => ({ file, number })),
  ),
);

test("comments cite rules that SECURITY.md has", () => {
  expect(cited.length).toBeGreaterThan(30);
  expect(cited.filter(({ number }) => !text.includes(`\n| ${number} `))).toEqual([]);
});

test("comments cite documents that exist", () => {
  const named = sources.flatMap(([file, code]) =>
    [...code.matchAll(/(?<![\w/.-])((?:docs\/[\w/-]+|[A-Z]{3,})\.md)\b/g)].map(([, name = ""]) => ({ file, name })),
  );
  const beside = ({ file, name }: { file: string; name: string }): boolean =>
    existsSync(join(root, name)) || existsSync(join(root, file, "..", name));
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((one) => !beside(one))).toEqual([]);
});

test("there are at least ten groups", () => {
  expect(new Set(declared.map((name) => name.split(":")[0])).size).toBeGreaterThanOrEqual(10);
});
