"""Style and script of the HTML report: no font, image or code from anywhere else."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fff; --card: #f6f7f9; --ink: #1c2128; --soft: #525c69; --line: #d5dae1;
  --link: #0b57b0; --fail: #b3140f; --error: #7d2fb5; --warn: #8a5200; --pass: #17693a;
  --skip: #525c69; --waived: #0b57b0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --card: #1d232a; --ink: #e6e9ed; --soft: #a9b3bf; --line: #39424d;
    --link: #7db4ff; --fail: #ff8a80; --error: #d7a6ff; --warn: #f3b95f; --pass: #74d696;
    --skip: #a9b3bf; --waived: #7db4ff;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0 auto; padding: 1.25rem 1rem 3rem; max-width: 60rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.jump { position: absolute; left: -100rem; }
.jump:focus { position: static; }
h1, h2, h3, p, li, dd, td { overflow-wrap: anywhere; }
h1, h2, h3 { line-height: 1.25; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.25rem; margin: 2.25rem 0 .75rem; }
h3 { font-size: 1.05rem; margin: 0; }
code, pre { font: .9rem/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
h1 { border-left: .5rem solid; padding: .75rem 1rem; background: var(--card); }
article { border-left: .35rem solid; }
.fail { border-color: var(--fail); } .error { border-color: var(--error); }
.warn { border-color: var(--warn); } .pass { border-color: var(--pass); }
.skip { border-color: var(--skip); } .waived { border-color: var(--waived); }
h1.fail { color: var(--fail); } h1.error { color: var(--error); } h1.warn { color: var(--warn); }
h1.pass { color: var(--pass); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 1rem 0; }
dt { color: var(--soft); } dd { margin: 0; }
.counts {
  display: flex; flex-wrap: wrap; gap: .5rem; list-style: none; margin: 1rem 0; padding: 0;
}
.counts li { border: 1px solid var(--line); border-radius: .4rem; }
.counts a, .counts span { display: block; padding: .3rem .75rem; }
#sieve { display: flex; flex-wrap: wrap; gap: .5rem 1rem; margin: 1.25rem 0; }
#sieve label { display: grid; gap: .15rem; flex: 1 1 16rem; color: var(--soft); }
input, select, button {
  font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--soft);
  border-radius: .3rem; padding: .35rem .6rem; min-height: 2.5rem; width: 100%;
}
article {
  padding: .6rem 1rem; margin: 0 0 .9rem; background: var(--card); break-inside: avoid-page;
}
article h3 { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.soft { color: var(--soft); margin: .1rem 0 .35rem; font-size: .95rem; }
article ul { margin: .4rem 0; padding-left: 1.25rem; }
article li { margin: .2rem 0; }
.text { unicode-bidi: isolate; }
.fact { color: var(--soft); font-size: .875rem; }
.todo { margin: .4rem 0 .1rem; font-size: .875rem; color: var(--soft); }
.fix { display: flex; gap: .5rem; align-items: start; margin: 0 0 .5rem; }
pre {
  flex: 1; min-width: 0; margin: 0; padding: .45rem .75rem; background: var(--paper);
  border: 1px solid var(--line); border-radius: .3rem;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.fix button { width: auto; min-height: 2.3rem; padding: .2rem .75rem; font-size: .875rem; }
.plain { list-style: none; padding: 0; margin: 0; }
.plain li {
  display: grid; grid-template-columns: 12rem 1fr; gap: 0 1rem; padding: .3rem 0;
  border-bottom: 1px solid var(--line);
}
.plain .soft { grid-column: 2; margin: 0; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0;
  border-bottom: 1px solid var(--line); }
footer { margin-top: 2.5rem; color: var(--soft); font-size: .9rem; }
@media (max-width: 40rem) {
  h1 { font-size: 1.25rem; }
  .plain li { grid-template-columns: 1fr; } .plain .soft { grid-column: 1; }
  .fix { display: block; } .fix button { margin-top: .25rem; }
  dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; }
  thead { position: absolute; left: -100rem; } tr, td { display: block; }
  td { border: 0; padding: .1rem 0; } tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
}
@media print {
  :root {
    color-scheme: light; --paper: #fff; --card: #fff; --ink: #000; --soft: #333; --line: #999;
    --link: #000; --fail: #8c0f0b; --error: #5d2387; --warn: #6b4000; --pass: #0f4a28;
    --skip: #333; --waived: #083f80;
  }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  #sieve, .jump, button { display: none !important; }
  article[hidden], section[hidden] { display: block !important; }
  li[hidden] { display: grid !important; }
  h2, h3 { break-after: avoid; }
  h1, article { border: 1px solid; border-left-width: .35rem; }
}
"""

SCRIPT = """
"use strict";
const sieve = document.getElementById("sieve");
const [words, status] = sieve.querySelectorAll("input, select");
const all = [...document.querySelectorAll("[data-check]")];
const said = document.getElementById("said");
const sift = () => {
  const wanted = words.value.trim().toLowerCase();
  let count = 0;
  for (const one of all) {
    const fits = (!status.value || one.dataset.status === status.value)
      && one.textContent.toLowerCase().includes(wanted);
    one.hidden = !fits;
    count += fits;
  }
  for (const part of document.querySelectorAll("section[data-part]")) {
    part.hidden = !part.querySelector("[data-check]:not([hidden])");
  }
  said.textContent = wanted || status.value ? `${count} of ${all.length} are shown` : "";
};
sieve.hidden = false;
sieve.addEventListener("input", sift);
if (navigator.clipboard) {
  for (const box of document.querySelectorAll(".fix")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(box.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    box.append(button);
  }
}
"""
