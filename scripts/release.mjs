/**
 * `npm run release`: checks all requirements of a release, without releasing. The versions of npm and JSR are equal;
 * the changelog has a section for it; the tarball and the JSR package have the right contents; publint, "Are the types
 * wrong" and `deno publish` find nothing; the public API is that of `etc/api/`. `-- --update-api` writes that report;
 * `-- --version 1.2.3` requires that version and a dated section of the changelog.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { reportApi } from "./api-report.mjs";

const root = join(import.meta.dirname, "..");
const { values: options } = parseArgs({
  options: { "update-api": { type: "boolean", default: false }, version: { type: "string" } },
});
const npm = readJson("package.json");
const jsr = readJson("deno.json");

/** Exports of npm's package only: JSR has all the others. */
const NOT_ON_JSR = ["./package.json"];

/** The folders and files of the tarball; any other is an error. */
const PACKED = /^(?:dist|src|transports)\/|^(?:README\.md|CHANGELOG\.md|LICENSE|package\.json)$/;
const NEVER_PACKED = /\.test\.ts$|(?:^|\/)node_modules\/|\.tsbuildinfo$/;

const checks = {
  "the versions agree": checkVersions,
  "the changelog has a section": checkChangelog,
  "npm and JSR export the same": checkSubpaths,
  "the tarball holds what it should": checkTarball,
  "the public surface is the one in etc/api": checkApi,
  publint: () => runTool("publint", ["--strict"]),
  "the types are right": () => runTool("attw", ["--profile", "esm-only", packed.tarball]),
  "JSR would take it": () => runTool("deno", ["publish", "--dry-run", "--allow-dirty"]),
};

const folder = mkdtempSync(join(tmpdir(), "smtplib-release-"));
const packed = pack();
let failures = 0;
try {
  for (const [name, check] of Object.entries(checks)) {
    const begun = performance.now();
    const problems = check();
    if (problems.length > 0) failures += 1;
    const title = `${problems.length === 0 ? "ok    " : "FAILED"} ${name} (${secondsSince(begun)} s)`;
    console.log([title, ...problems].join("\n       "));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failures === 0 ? 0 : 1;

/** Packs the built files, without building them again: other programs may use dist/ at this time. */
function pack() {
  const { status, stdout, stderr } = spawnSync(
    "npm",
    ["pack", "--json", "--ignore-scripts", "--pack-destination", folder],
    { cwd: root, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`npm pack: ${stderr.trim()}`);
  const [{ filename, files }] = JSON.parse(stdout);
  return { tarball: join(folder, filename), files: files.map(({ path }) => path) };
}

function secondsSince(begun) {
  return ((performance.now() - begun) / 1000).toFixed(1);
}

function checkVersions() {
  const found = { "package.json": npm.version, "deno.json": jsr.version, "package-lock.json": lockedVersion() };
  const expected = options.version ?? npm.version;
  return Object.entries(found)
    .filter(([, version]) => version !== expected)
    .map(([file, version]) => `${file} has ${version}, not ${expected}`);
}

function lockedVersion() {
  return readJson("package-lock.json").version;
}

/** A release has a section with a date; before it, the changes are under "Unreleased". */
function checkChangelog() {
  const sections = [...readFileSync(join(root, "CHANGELOG.md"), "utf8").matchAll(/^## (.*)$/gm)].map(
    ([, title]) => title,
  );
  const wanted = options.version;
  if (wanted === undefined)
    return sections[0] === "[Unreleased]" ? [] : [`it begins with "${sections[0]}", not "[Unreleased]"`];
  const dated = sections.some((title) => title.startsWith(`[${wanted}] - `) && /\d{4}-\d{2}-\d{2}$/.test(title));
  return dated ? [] : [`there is no section "[${wanted}] - YYYY-MM-DD"`];
}

function checkSubpaths() {
  const onNpm = Object.keys(npm.exports).filter((subpath) => !NOT_ON_JSR.includes(subpath));
  const onJsr = Object.keys(jsr.exports);
  return [
    ...onNpm.filter((subpath) => !onJsr.includes(subpath)).map((subpath) => `deno.json lacks ${subpath}`),
    ...onJsr.filter((subpath) => !onNpm.includes(subpath)).map((subpath) => `package.json lacks ${subpath}`),
    ...Object.values(jsr.exports)
      .filter((file) => !existsSync(join(root, file)))
      .map((file) => `there is no ${file}`),
  ];
}

function checkTarball() {
  const paths = packed.files;
  const targets = Object.values(npm.exports).flatMap((target) =>
    typeof target === "string" ? [target] : Object.values(target),
  );
  return [
    ...paths
      .filter((path) => !PACKED.test(path) || NEVER_PACKED.test(path))
      .map((path) => `${path} should not be in it`),
    ...targets
      .map((target) => target.slice("./".length))
      .filter((target) => !paths.includes(target))
      .map((target) => `${target} is missing`),
  ];
}

function checkApi() {
  const changed = reportApi({ update: options["update-api"] });
  return changed.map((name) => `etc/api/${name}.api.md differs: npm run release -- --update-api writes it`);
}

function runTool(name, args) {
  const { status, stdout, stderr } = spawnSync(join(root, "node_modules/.bin", name), args, {
    cwd: root,
    encoding: "utf8",
  });
  return status === 0 ? [] : `${stdout}${stderr}`.trim().split("\n");
}

function readJson(file) {
  return JSON.parse(readFileSync(join(root, file), "utf8"));
}
