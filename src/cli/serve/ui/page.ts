/** The page: its HTML, its style and its script, without a framework. */

/** The policy of the page: its own files, and frames of its own. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The page. */
export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>smtplib serve</title>
<link rel="stylesheet" href="/style.css">
<script type="module" src="/app.js"></script>
</head>
<body>
<header>
<h1>smtplib serve</h1>
<p id="state" role="status">connecting</p>
</header>
<main>
<section id="lists" aria-label="What has come">
<div class="choice" role="group" aria-label="What is listed">
<button type="button" id="show-messages" aria-pressed="true">Messages <span id="message-count">0</span></button>
<button type="button" id="show-sessions" aria-pressed="false">Sessions <span id="session-count">0</span></button>
</div>
<p id="nothing">Nothing has come yet.</p>
<ul id="messages"></ul>
<ul id="sessions" hidden></ul>
</section>
<section id="detail" aria-label="What is chosen" hidden>
<button type="button" id="back">Back to the list</button>
<h2 id="title"></h2>
<dl id="facts"></dl>
<div class="choice" id="views" role="group" aria-label="What is shown"></div>
<div id="view"></div>
</section>
</main>
</body>
</html>
`;

/** Its style: dark and light, side by side on wide screens, one after the other on narrow ones. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2128; --dim: #57606a; --line: #8c959f; --soft: #eaeef2; --accent: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --ink: #e6edf3; --dim: #9da7b3; --line: #6e7681; --soft: #21262d;
  --accent: #79c0ff; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: flex; flex-direction: column; background: var(--paper); color: var(--ink); font: 0.9375rem/1.45 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; align-items: baseline; padding: 0.75rem 1rem;
  border-bottom: 1px solid var(--line); }
h1 { font-size: 1.125rem; margin: 0; }
h2 { font-size: 1.0625rem; margin: 0 0 0.5rem; overflow-wrap: anywhere; }
#state { margin: 0; color: var(--dim); }
main { flex: 1; display: grid; grid-template-columns: minmax(16rem, 24rem) minmax(0, 1fr); }
#lists { border-right: 1px solid var(--line); }
section { padding: 0.75rem 1rem; }
.choice { display: flex; flex-wrap: wrap; gap: 0.25rem; margin: 0 0 0.75rem; }
button { font: inherit; color: inherit; background: var(--soft); border: 1px solid var(--line); border-radius: 4px;
  padding: 0.25rem 0.6rem; cursor: pointer; }
button[aria-pressed="true"] { border-color: var(--accent); box-shadow: inset 0 -2px var(--accent); }
button:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
ul { list-style: none; margin: 0; padding: 0; }
li { margin: 0 0 0.35rem; }
#messages button, #sessions button { display: block; width: 100%; text-align: left; background: none; overflow-wrap: anywhere; }
#messages button[aria-current="true"], #sessions button[aria-current="true"] { background: var(--soft); border-color: var(--accent); }
li span { display: block; }
li .small { color: var(--dim); font-size: 0.8125rem; }
[hidden] { display: none !important; }
#back { display: none; margin: 0 0 0.75rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.15rem 0.75rem; margin: 0 0 0.75rem; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { margin: 0; padding: 0.75rem; background: var(--soft); border-radius: 4px; overflow: auto; max-height: 75vh;
  white-space: pre-wrap; overflow-wrap: anywhere; font: 0.8125rem/1.45 ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; }
iframe { width: 100%; height: 75vh; border: 1px solid var(--line); border-radius: 4px; background: #fff; }
iframe.picture { background: none; }
a { color: var(--accent); }
@media (max-width: 48rem) {
  main { display: block; }
  #lists { border-right: 0; }
  body.chosen #lists { display: none; }
  #back { display: inline-block; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { margin: 0 0 0.35rem; }
}
`;

/** Its script. Text from messages is only set as text, never as HTML. */
export const PAGE_SCRIPT = `
const find = (id) => document.getElementById(id);
const make = (name, content, properties = {}) => {
  const element = Object.assign(document.createElement(name), properties);
  for (const one of [content].flat()) if (one !== undefined) element.append(one);
  return element;
};
const known = { messages: new Map(), sessions: new Map() };
let listed = "messages";
let chosen;

function list(kind) {
  const items = [...known[kind].values()].reverse().map((item) => {
    const isMessage = kind === "messages";
    const first = isMessage ? item.subject || "(no subject)" : "Session " + item.id + " of " + item.client;
    const second = isMessage ? item.from + " to " + item.to.join(", ") : item.ended ? "ended" : "open";
    const button = make("button", [
      make("span", first),
      make("span", second, { className: "small" }),
      make("span", new Date(item.at).toLocaleTimeString(), { className: "small" }),
    ], { type: "button" });
    const isChosen = chosen?.kind === kind && chosen.id === item.id;
    button.setAttribute("aria-current", String(isChosen));
    button.addEventListener("click", () => choose(kind, item.id));
    return make("li", button);
  });
  find(kind).replaceChildren(...items);
  find(kind === "messages" ? "message-count" : "session-count").textContent = known[kind].size;
  find("nothing").hidden = known[listed].size > 0;
}

function show(kind) {
  listed = kind;
  for (const one of ["messages", "sessions"]) {
    find(one).hidden = one !== kind;
    find("show-" + one).setAttribute("aria-pressed", String(one === kind));
  }
  list(kind);
}

async function choose(kind, id) {
  chosen = { kind, id };
  document.body.classList.add("chosen");
  find("detail").hidden = false;
  list("messages");
  list("sessions");
  if (kind === "sessions") return showSession(known.sessions.get(id));
  const response = await fetch("/messages/" + id + ".json");
  if (!response.ok) return;
  const message = await response.json();
  if (chosen.kind === kind && chosen.id === id) showMessage(message);
}

function facts(rows) {
  find("facts").replaceChildren(...rows.flatMap(([name, text]) => [make("dt", name), make("dd", String(text))]));
}

function views(parts) {
  const buttons = parts.map(([name, build], index) => {
    const button = make("button", name, { type: "button" });
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      find("view").replaceChildren(build());
    });
    button.setAttribute("aria-pressed", String(index === 0));
    return button;
  });
  find("views").replaceChildren(...buttons);
  find("view").replaceChildren(parts[0][1]());
}

const text = (content) => () => make("pre", content, { tabIndex: 0 });
const frame = (src, title, className = "") => () => {
  const element = make("iframe", undefined, { title, className });
  // Nothing in it may run, whatever the policy of the content.
  element.setAttribute("sandbox", "");
  element.src = src;
  return element;
};

function showMessage(message) {
  find("title").textContent = message.subject || "(no subject)";
  facts([
    ["From", message.from || "<>"], ["To", message.to.join(", ")], ["Came", new Date(message.at).toLocaleString()],
    ["Octets", message.octets], ["Security", message.secure ? "TLS" : "in clear"],
    ...(message.user === undefined ? [] : [["Login", message.user]]),
  ]);
  const parts = [];
  if (message.html) parts.push(["HTML", frame("/messages/" + message.id + ".html", "The HTML of the message")]);
  if (message.text !== undefined) parts.push(["Text", text(message.text)]);
  parts.push(["Header", text(message.headers.map(([name, value]) => name + ": " + value).join("\\n"))]);
  if (message.attachments.length > 0) parts.push(["Attachments", () => attachments(message)]);
  parts.push(["Source", () => source(message)]);
  parts.push(["Dialogue", frame("/sessions/" + message.session + ".html", "The dialogue", "picture")]);
  views(parts);
}

function attachments(message) {
  return make("ul", message.attachments.map(({ name, type, octets }, index) => make("li", [
    make("a", name, { href: "/messages/" + message.id + "/attachments/" + index, download: name }),
    make("span", type + ", " + octets + " octets", { className: "small" }),
  ])));
}

function source(message) {
  const holder = make("div", make("p", make("a", "Save as .eml", { href: "/messages/" + message.id + ".eml", download: "message-" + message.id + ".eml" })));
  fetch("/messages/" + message.id + ".txt").then((response) => response.text()).then((whole) => holder.append(text(whole)()));
  return holder;
}

function showSession(session) {
  find("title").textContent = "Session " + session.id;
  facts([["Client", session.client], ["Began", new Date(session.at).toLocaleString()],
    ["Ended", session.ended ? new Date(session.ended).toLocaleString() : "it is open"]]);
  views([["Dialogue", frame("/sessions/" + session.id + ".html", "The dialogue", "picture")]]);
}

find("show-messages").addEventListener("click", () => show("messages"));
find("show-sessions").addEventListener("click", () => show("sessions"));
find("back").addEventListener("click", () => {
  chosen = undefined;
  document.body.classList.remove("chosen");
  find("detail").hidden = true;
  show(listed);
});

const events = new EventSource("/events");
events.addEventListener("open", () => {
  find("state").textContent = "listening";
});
events.addEventListener("error", () => {
  find("state").textContent = "the server is gone; trying again";
});
events.addEventListener("state", ({ data }) => {
  const state = JSON.parse(data);
  for (const kind of ["messages", "sessions"]) {
    known[kind] = new Map(state[kind].map((item) => [item.id, item]));
    list(kind);
  }
});
for (const kind of ["messages", "sessions"]) {
  events.addEventListener(kind, ({ data }) => {
    const item = JSON.parse(data);
    known[kind].set(item.id, item);
    list(kind);
    if (kind === "sessions" && chosen?.kind === kind && chosen.id === item.id) showSession(item);
  });
}
`;
