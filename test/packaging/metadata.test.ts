/** The descriptions of the package for npm and JSR agree with each other, and the exports with the API's contract. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as smtplib from "../../src/index.ts";
import { root } from "./snippets.ts";

/** npm's own module, which has no types here. */
const semver: {
  subset(range: string, of: string): boolean;
  satisfies(version: string, range: string, options?: object): boolean;
} = createRequire(import.meta.url)("semver");

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
    for (const [name, specifier] of Object.entries<string>(jsr.imports)) {
      expect(specifier.startsWith(`npm:${name}@`)).toBe(true);
      expect(semver.subset(specifier.slice(`npm:${name}@`.length), peers[name] ?? "")).toBe(true);
    }
  });

  // npm refuses to install the package beside a version of an optional peer that the range excludes, even if the
  // subpath is never imported. Only the range `*` includes prereleases.
  it("can be installed beside any version of its peers", () => {
    const versions = ["0.3.1", "0.4.0", "0.5.5", "0.6.0", "0.6.0-dev.12", "1.0.0", "6.10.1", "10.6.0", "11.0.0"];
    for (const range of Object.values<string>(npm.peerDependencies)) {
      expect(range).toBe("*");
      expect(versions.filter((one) => !semver.satisfies(one, range, { includePrerelease: true }))).toEqual([]);
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
