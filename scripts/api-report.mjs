/**
 * The public API as text, a file for each subpath in `etc/api/`, made from the built declarations by API Extractor: a
 * review shows its changes. `npm run release` compares them; `npm run release -- --update-api` writes them.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CompilerState, Extractor, ExtractorConfig, ExtractorLogLevel } from "@microsoft/api-extractor";

const root = join(import.meta.dirname, "..");
const { name: packageName, exports: subpaths } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const COMPILER_OPTIONS = {
  target: "es2022",
  module: "nodenext",
  lib: ["es2022", "esnext.disposable", "dom"],
  types: ["node"],
  skipLibCheck: true,
};

/** Compares the reports with the declarations, or writes them; returns the names of those that differ. */
export function reportApi({ update }) {
  for (const folder of [join(root, "etc/api"), join(root, ".cache/api")]) mkdirSync(folder, { recursive: true });
  const entries = Object.entries(subpaths)
    .filter(([, { types }]) => types !== undefined && /^export /m.test(readFileSync(join(root, types), "utf8")))
    .map(([subpath, { types }]) => ({ name: nameOf(subpath), declarations: join(root, types) }));
  const files = entries.map(({ declarations }) => declarations);
  const configs = entries.map(({ name, declarations }) => ({ name, config: configOf(name, declarations, files) }));
  const [first] = configs;
  const compilerState = CompilerState.create(first.config, { additionalEntryPoints: files });
  return configs.filter(({ name, config }) => isChanged(name, config, compilerState, update)).map(({ name }) => name);
}

function nameOf(subpath) {
  return subpath === "." ? packageName : subpath.slice("./".length).replaceAll("/", "-");
}

function configOf(name, declarations, files) {
  return ExtractorConfig.prepare({
    packageJsonFullPath: join(root, "package.json"),
    configObjectFullPath: undefined,
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: declarations,
      newlineKind: "lf",
      compiler: { overrideTsconfig: { compilerOptions: COMPILER_OPTIONS, files } },
      apiReport: {
        enabled: true,
        reportFileName: name,
        // Base classes and types that are not exported, but appear in exported declarations.
        includeForgottenExports: true,
        reportFolder: join(root, "etc/api"),
        reportTempFolder: join(root, ".cache/api"),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        extractorMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
      },
    },
  });
}

/** Whether a report differs from the one in git, or the declarations have errors, which are printed. */
function isChanged(name, config, compilerState, update) {
  const errors = [];
  const { apiReportChanged } = Extractor.invoke(config, {
    compilerState,
    localBuild: update,
    messageCallback(message) {
      message.handled = true;
      if (message.logLevel === ExtractorLogLevel.Error) errors.push(message.text);
    },
  });
  for (const text of errors) console.log(`${name}: ${text}`);
  return errors.length > 0 || (apiReportChanged && !update);
}
