/** The site: guides, and the reference that TypeDoc makes of the doc comments. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import type { DefaultTheme, MarkdownRenderer } from "vitepress";
import { defineConfig } from "vitepress";
import llmstxt from "vitepress-plugin-llms";

const REPOSITORY = "https://github.com/smtplib/smtplib";
const folder = join(import.meta.dirname, "..");

export default defineConfig({
  title: "smtplib",
  description: "An SMTP and LMTP client for Node, Deno and Bun, with the names of Python's smtplib",
  base: process.env["DOCS_BASE"] ?? "/",
  lang: "en",
  cleanUrls: true,
  lastUpdated: false,
  // The start has no landmark in the default theme.
  transformHtml: (html) => html.replace('<div class="VPHome"', '<div role="main" class="VPHome"'),
  markdown: {
    anchor: { slugify: anchorOf },
    config: linkToRepository,
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
  },
  vite: { plugins: [llmstxt({ ignoreFiles: ["reference/**"] })], build: { chunkSizeWarningLimit: 2000 } },
  themeConfig: {
    search: { provider: "local" },
    outline: { level: [2, 3] },
    socialLinks: [{ icon: "github", link: REPOSITORY }],
    nav: [
      { text: "Guide", link: "/guide/first-mail", activeMatch: "^/guide/" },
      { text: "Command line", link: "/cli" },
      { text: "Reference", link: "/reference/", activeMatch: "^/reference/" },
    ],
    // Groups that open and close would be buttons within buttons.
    sidebar: {
      "/reference/": [{ text: "Reference", items: referenceItems() }],
      "/": [
        group("Start", ["first-mail", "submission", "oauth2", "sending", "attachments"]),
        group("Operate", ["sending-many", "errors", "timeouts", "tls", "logging", "lmtp", "proxies", "sent-folder"]),
        { text: "Durable outbox", items: ["outbox", "scale"].map((name) => item(name)) },
        group("Test", ["testing"]),
        group("Move", ["from-python", "from-nodemailer", "plug-ins"]),
        group("Extend", ["transports", "workers", "sasl"]),
        {
          text: "Look inside",
          items: ["cli", "extensions", "trust", "architecture", "dialogue", "security"]
            .map((name) => item(name))
            .concat(item("guide/performance")),
        },
      ],
    },
  },
});

function group(text: string, names: readonly string[]): DefaultTheme.SidebarItem {
  return { text, items: names.map((name) => item(`guide/${name}`)) };
}

/** A page under its own heading. */
function item(page: string): DefaultTheme.SidebarItem {
  const [, heading = page] = /^# (.*)$/m.exec(readFileSync(join(folder, `${page}.md`), "utf8")) ?? [];
  return { text: heading, link: `/${page}` };
}

/** The pages that TypeDoc has written. */
function referenceItems(): DefaultTheme.SidebarItem[] {
  const reference = join(folder, "reference");
  if (!existsSync(reference)) return [];
  const files = readdirSync(reference, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".md"));
  return files
    .filter((name) => name !== "index.md")
    .sort()
    .map((name) => {
      const path = name.replaceAll("\\", "/").replace(/\.md$/, "");
      const [, heading = path] = /^# (.*)$/m.exec(readFileSync(join(reference, name), "utf8")) ?? [];
      return { text: heading.replaceAll("\\", ""), link: `/reference/${path}` };
    });
}

/** As GitHub does: the tests check links to headings by this rule. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/\s/g, "-");
}

/** Links to files that are no pages of the site lead to the repository. */
function linkToRepository(md: MarkdownRenderer): void {
  md.core.ruler.push("repository-links", ({ tokens, env }) => {
    for (const link of tokens.flatMap(({ children }) => children ?? [])) {
      const href = link.type === "link_open" ? link.attrGet("href") : null;
      if (href === null || /^(?:[a-z]+:|#|\/)/.test(href)) continue;
      const [path = "", anchor] = href.split("#");
      const target = posix.join("docs", posix.dirname(env.relativePath ?? ""), path);
      if (target.startsWith("docs/") && target.endsWith(".md")) continue;
      link.attrSet("href", `${REPOSITORY}/blob/main/${target}${anchor === undefined ? "" : `#${anchor}`}`);
    }
  });
}
