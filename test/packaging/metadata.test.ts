/** npm's and JSR's descriptions of the package agree with each other, and the exports with the API's contract. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as smtplib from "../../src/index.ts";
import { root } from "./snippets.ts";

const npm = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const jsr = JSON.parse(readFileSync(join(root, "deno.json"), "utf8"));
const changes = readFileSync(join(root, "CHANGELOG.md"), "utf8");

describe("the package", () => {
  it("has the same version and licence on npm and on JSR", () => {
    expect({ version: jsr.version, license: jsr.license }).toEqual({ version: npm.version, license: npm.license });
  });

  it("has the same subpaths on npm and on JSR, each with a source", () => {
    const { "./package.json": _, ...subpaths } = npm.exports;
    expect(Object.keys(jsr.exports)).toEqual(Object.keys(subpaths));
    expect(Object.values<string>(jsr.exports).filter((source) => !existsSync(join(root, source)))).toEqual([]);
  });

  it("has no subpath without types, and none that two formats share", () => {
    const { "./package.json": _, ...subpaths } = npm.exports;
    for (const conditions of Object.values<Record<string, string>>(subpaths)) {
      expect(Object.keys(conditions)).toEqual(["types", "default"]);
      expect(conditions["types"]).toBe(conditions["default"]?.replace(/\.js$/, ".d.ts"));
    }
  });

  it("says where it comes from, and where a fault is reported", () => {
    for (const name of ["repository", "homepage", "bugs", "author"]) expect(npm[name], name).toBeTruthy();
  });

  it("has no log or profile in its repository", () => {
    const files = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).split("\n");
    expect(files.filter((file) => /\.(log|cpuprofile|heapsnapshot|tgz)$/.test(file))).toEqual([]);
  });

  it("depends on no other package", () => {
    const kinds = ["dependencies", "optionalDependencies", "bundleDependencies"];
    expect(kinds.filter((kind) => npm[kind] !== undefined)).toEqual([]);
  });

  it("has peers only for subpaths that are made for them, none of which has to be installed, the same on JSR", () => {
    const peers: Record<string, string> = npm.peerDependencies;
    const optional = Object.fromEntries(Object.keys(peers).map((name) => [name, { optional: true }]));
    expect(npm.peerDependenciesMeta).toEqual(optional);
    for (const [name, specifier] of Object.entries(jsr.imports)) {
      expect(peers[name]?.split(" || ").map((range) => `npm:${name}@${range}`)).toContain(specifier);
    }
  });

  it("has an entry in the change log for its version", () => {
    expect(changes).toMatch(new RegExp(`^## \\[(Unreleased|${npm.version.replaceAll(".", "\\.")})\\]`, "m"));
  });

  it("exports the names of the contract, and no other value", () => {
    expect(Object.keys(smtplib).sort()).toEqual(
      [
        ...[
          "SMTP",
          "SMTP_SSL",
          "LMTP",
          "SMTPPool",
          "SMTP_PORT",
          "SMTP_SSL_PORT",
          "LMTP_PORT",
          "quoteaddr",
          "quotedata",
          "TlsError",
        ],
        ...["SMTPException", "SMTPServerDisconnected", "SMTPTimeoutError", "SMTPNotSupportedError"],
        ...["SMTPRecipientsRefused", "SMTPResponseException", "SMTPSenderRefused", "SMTPDataError"],
        ...["SMTPConnectError", "SMTPHeloError", "SMTPAuthenticationError"],
      ].sort(),
    );
  });
});
