/**
 * The style sheet of a rendered transcript: dark and light, for screens of all widths and for print; it loads nothing.
 */
export const STYLE = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2128; --dim: #57606a; --line: #8c959f; --soft: #eaeef2;
  --client: #0550ae; --server: #1a7f37; --refused: #b42318; --later: #7d4e00; --tls: #6639ba; --wait: #d4a72c; }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --ink: #e6edf3; --dim: #9da7b3; --line: #6e7681;
  --soft: #21262d; --client: #79c0ff; --server: #7ee787; --refused: #ffa198; --later: #e3b341; --tls: #d2a8ff; --wait: #9e6a03; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 0.9375rem/1.45 system-ui, sans-serif; }
h1 { font-size: 1.25rem; margin: 0 0 0.25rem; }
h2 { font-size: 1.0625rem; margin: 1.5rem 0 0.5rem; overflow-wrap: anywhere; }
p.about { margin: 0 0 1rem; color: var(--dim); }
dl.sums { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; margin: 0 0 0.75rem; }
dl.sums div { display: flex; gap: 0.4rem; }
dt { color: var(--dim); }
dd { margin: 0; }
.ends { display: flex; justify-content: space-between; padding: 0.25rem 0 0.25rem 4.25rem; font-weight: 600;
  position: sticky; top: 0; background: var(--paper); z-index: 1; }
.ends .c { color: var(--client); }
.ends .s { color: var(--server); }
ol.sequence { list-style: none; margin: 0; padding: 0 0 0.75rem; position: relative;
  --left: 4.75rem; --right: 0.5rem; }
ol.sequence::before, ol.sequence::after { content: ""; position: absolute; top: 0; bottom: 0; width: 2px; background: var(--line); }
ol.sequence::before { left: var(--left); }
ol.sequence::after { right: var(--right); }
.step { position: relative; padding: var(--gap, 0.5rem) var(--right) 0 var(--left); break-inside: avoid; }
.pause { position: absolute; top: 2px; height: calc(var(--gap, 0.5rem) - 2px); width: 8px; background: var(--wait);
  border-radius: 3px; z-index: 1; }
.server > .pause, .tls > .pause, .connect > .pause { left: calc(var(--left) - 3px); }
.client > .pause, .end > .pause { right: calc(var(--right) - 3px); }
.pause span { position: absolute; top: 50%; transform: translateY(-50%); white-space: nowrap; font-size: 0.8125rem;
  color: var(--dim); }
.server > .pause span, .tls > .pause span, .connect > .pause span { left: 0.9rem; }
.client > .pause span, .end > .pause span { right: 0.9rem; }
time { position: absolute; left: 0; width: 4.25rem; text-align: right; font-size: 0.8125rem; color: var(--dim);
  font-variant-numeric: tabular-nums; }
details { position: relative; margin: 0; }
summary { position: relative; list-style: none; cursor: pointer; padding: 0.1rem 0.9rem 0.35rem; border-radius: 4px; }
summary::-webkit-details-marker { display: none; }
summary:hover, summary:focus-visible { background: var(--soft); }
summary:focus-visible { outline: 2px solid var(--client); }
.server summary { text-align: right; }
.tls summary, .connect summary, .end summary, .plain { text-align: center; color: var(--tls); }
.plain { position: relative; padding: 0.1rem 0.9rem 0.35rem; }
.connect .plain, .end .plain { color: var(--dim); }
code, pre { font: 0.8125rem/1.4 ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; }
summary code { display: block; overflow-wrap: anywhere; }
.client code { color: var(--client); }
.server code { color: var(--server); }
.server code.later { color: var(--later); }
.server code.refused { color: var(--refused); }
.size { display: block; font-size: 0.8125rem; color: var(--dim); }
.arrow { position: absolute; left: 2px; right: 0; bottom: 0; height: 2px; background: currentColor; pointer-events: none; }
.client .arrow { color: var(--client); }
.server .arrow { color: var(--server); }
.arrow::after { content: ""; position: absolute; top: -4px; border: 5px solid transparent; }
.client .arrow::after { right: 0; border-left-color: currentColor; border-right-width: 0; }
.server .arrow::after { left: 0; border-right-color: currentColor; border-left-width: 0; }
.band { position: absolute; left: 2px; right: 0; bottom: 2px; height: 4px; background: var(--tls); opacity: 0.5; }
pre { margin: 0 0.75rem; padding: 0.5rem; max-height: 24rem; overflow: auto; background: var(--soft); color: var(--ink);
  border-radius: 4px; white-space: pre-wrap; overflow-wrap: anywhere; text-align: left; }
details[open] { padding-bottom: 0.5rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; color: var(--dim); font-size: 0.8125rem; margin: 0.5rem 0 0; }
.legend i { display: inline-block; width: 8px; height: 0.8em; background: var(--wait); border-radius: 3px; }
@supports selector(::details-content) {
  @media (hover: hover) and (pointer: fine) {
    details:not([open]):hover { z-index: 3; }
    details:not([open]):hover::details-content { content-visibility: visible; display: block; position: absolute;
      left: 0.5rem; right: 0.5rem; top: 100%; pointer-events: none; }
    details:not([open]):hover pre { box-shadow: 0 4px 16px rgb(0 0 0 / 35%); outline: 1px solid var(--line); max-height: 12rem;
      overflow: hidden; }
  }
}
@media (max-width: 40rem) {
  body { padding: 0.75rem 0.5rem; }
  ol.sequence { --left: 3.75rem; --right: 0.4rem; }
  .ends { padding-left: 3.25rem; }
  time { width: 3.25rem; font-size: 0.75rem; }
  summary, .plain { padding-left: 0.6rem; padding-right: 0.6rem; }
  pre { margin: 0 0.4rem; }
}
@media print {
  :root { color-scheme: light; --paper: #fff; --ink: #000; --dim: #444; --soft: #fff; --client: #0550ae; --server: #116329;
    --refused: #b42318; --later: #7d4e00; --tls: #6639ba; --line: #8c959f; --wait: #d4a72c; }
  body { max-width: none; padding: 0; }
  .ends { position: static; }
  pre { max-height: none; border: 1px solid #ccc; }
  details::details-content { content-visibility: visible; display: block; }
}
`;
