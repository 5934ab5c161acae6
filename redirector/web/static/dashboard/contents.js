// Contents: where they come from, which commit is served, who holds it, and the links that open it.

import { ask } from "./dialog.js";
import { by, make, say, span } from "./dom.js";

const COPIED_MS = 1500;
const root = document.body.dataset.root;
const mayChange = Boolean(document.body.dataset.mayChange);

const POOL = { name: "pool", label: "Pool", hint: "default if none" };

export async function openContents() {
  by("contents").hidden = false;
  by("contents").scrollIntoView();
  await refresh();
}

async function refresh() {
  const note = by("contents").querySelector(".quiet");
  try {
    const answer = await fetch(`${root}/contents.json`, { cache: "no-store" });
    if (answer.status === 401) return location.reload();
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.message);
    by("contents").querySelector("tbody").replaceChildren(...said.contents.map(row));
    by("contents").querySelector(".patterns").replaceChildren(...said.patterns.map(pattern));
    say(note, said.contents.length === 1 ? "one content" : `${said.contents.length} contents`);
  } catch (problem) {
    say(note, problem.message || "no answer");
  }
}

function row(content) {
  const now = Date.now() / 1000;
  const nodes = Object.values(content.nodes);
  const held = nodes.filter((each) => each.state === "there").length;
  const failed = Object.entries(content.nodes).filter(([, each]) => each.state === "failed").map(([name, each]) => `${name}: ${each.problem}`);
  const cells = [
    content.name, content.source, content.pool + (content.whole_pool ? ", in every sandbox" : ""), content.commit.slice(0, 12) || "–",
    content.wanted ? "being fetched" : content.fetched_at ? `${span(now - content.fetched_at)} ago` : "never",
    content.digest ? size(content.size) : "–", nodes.length ? `${held} of ${nodes.length}` : "–",
    [content.problem && `${content.problem} (for ${span(now - content.problem_since)})`, ...failed].filter(Boolean).join("; "),
  ];
  return make("tr", { "data-content": content.name }, ...cells.map((text) => make("td", {}, text)), make("td", { class: "acts" }, ...buttons(content)));
}

const size = (bytes) => (bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`);

function buttons(content) {
  const copy = button("Copy link", `Copy the link to ${content.name}`, async () => {
    await navigator.clipboard.writeText(content.url);
    say(copy, "Copied");
    setTimeout(() => say(copy, "Copy link"), COPIED_MS);
  });
  const path = `contents/${encodeURIComponent(content.name)}`;
  const changes = [
    button("Refresh", `Fetch ${content.name} now`, () => ask({
      heading: `Fetch ${content.name} now?`, what: "Its source is asked whether it has changed.", button: "Refresh",
      path: `${path}/refresh`, body: {}, after: refresh,
    })),
    button("Remove", `Remove ${content.name}`, () => ask({
      heading: `Remove ${content.name}?`, what: "Its links end. Sandboxes that have it keep it.", button: "Remove",
      path: `${path}/remove`, body: {}, after: refresh,
    })),
  ];
  return mayChange ? [copy, ...changes] : [copy];
}

function button(text, label, press) {
  const made = make("button", { type: "button", "aria-label": label }, text);
  made.addEventListener("click", press);
  return made;
}

function pattern(allowed) {
  const deny = button("Deny", `Deny ${allowed.pattern}`, () => ask({
    heading: `Deny ${allowed.pattern}?`, what: "Links may ask for it no longer.", button: "Deny",
    path: "patterns/deny", body: { pattern: allowed.pattern }, after: refresh,
  }));
  return make("li", {}, `Links may ask for ${allowed.pattern} in pool ${allowed.pool}. `, ...(mayChange ? [deny] : []));
}

function add() {
  ask({
    heading: "Add a content", button: "Add", path: "contents", body: {}, after: refresh,
    what: "A repository, an archive or a directory, which a link opens in a fresh sandbox.",
    fields: [
      { name: "name", label: "Name", required: true, limit: 63 },
      { name: "source", label: "Source", hint: "gh:org/repo@ref, git+https://…, https://….zip, dir:/…", required: true },
      { name: "open", label: "Opens", hint: "a file in it" }, POOL,
      { name: "whole_pool", label: "In", options: [["", "the sandboxes of those who follow its link"], ["1", "every sandbox of the pool"]] },
      { name: "token", label: "Token", hint: "of a private source", type: "password" },
    ],
    told: (said) => `Added. The secret of its webhook, shown only here: ${said.webhook_secret}`,
  });
}

function allow() {
  ask({
    heading: "Let links ask for more", button: "Allow", path: "patterns/allow", body: {}, after: refresh,
    what: "Links that name such a source open it, fetched when somebody comes.",
    fields: [{ name: "pattern", label: "Sources", hint: "gh:org/*", required: true }, POOL],
  });
}

export function prepareContents() {
  by("open-contents").addEventListener("click", openContents);
  by("add-content").addEventListener("click", add);
  by("allow-content").addEventListener("click", allow);
  by("refresh-contents").addEventListener("click", refresh);
  by("close-contents").addEventListener("click", () => { by("contents").hidden = true; });
}
