// The nodes, a card for each.

import { by, clock, draw, make, say, span } from "./dom.js";
import { BUTTONS, READING, VERBS } from "./verbs.js";

const DENSE_FROM = 40;
const STATES = ["claimed", "ready", "starting", "ending", "draining", "free", "unknown"];
const TROUBLE = ["down", "suspect", "joining", "draining", "drained", "up"];
const COLUMNS = 20;
const MOST_CELLS = 800;
const MAY_CHANGE = document.body.dataset.mayChange === "1";

const shown = new Map(); // cards by name of node, with the picture that each shows

function grid(slots) {
  const total = STATES.reduce((sum, state) => sum + (slots[state] || 0), 0);
  const each = Math.max(1, Math.ceil(total / MOST_CELLS));
  const columns = total / each > 6 * COLUMNS ? 2 * COLUMNS : COLUMNS;
  const words = STATES.filter((state) => slots[state]).map((state) => `${slots[state]} ${state}`).join(", ");
  const cells = STATES.map((state) => Math.ceil((slots[state] || 0) / each));
  const count = cells.reduce((sum, number) => sum + number, 0);
  const wide = Math.min(columns, count), high = Math.ceil(count / columns);
  const svg = draw("svg", { class: "slots", viewBox: `0 0 ${wide * 10} ${high * 10}`, role: "img", "aria-label": words || "no slots known" });
  svg.style.width = `calc(${wide} * var(--cell)${columns > COLUMNS ? " / 2" : ""})`;
  let at = 0;
  STATES.forEach((state, index) => {
    if (!cells[index]) return;
    let path = "";
    for (let number = 0; number < cells[index]; number += 1, at += 1) {
      path += `M${(at % columns) * 10 + 1.8} ${Math.floor(at / columns) * 10 + 1.8}h6.4v6.4h-6.4z`;
    }
    svg.append(draw("path", { class: state, d: path }));
  });
  return svg;
}

function newCard(name, press) {
  const link = make("a", { target: "_blank", rel: "noreferrer" }, name);
  const button = (verb) => {
    const made = make("button", { type: "button", "data-verb": verb, "aria-label": `${VERBS[verb].label} ${name}` }, VERBS[verb].label);
    made.addEventListener("click", () => {
      made.closest("details")?.removeAttribute("open");
      press(verb, name);
    });
    return made;
  };
  const allowed = BUTTONS.filter(([verb]) => MAY_CHANGE || READING.includes(verb));
  const first = allowed.filter(([, place]) => place === "card"), more = allowed.filter(([, place]) => place === "more");
  const card = make("article", { class: "node", "data-node": name, id: `node-${name}` },
    make("header", {}, make("h3", {}, link), make("span", { class: "state" }), make("span", { class: "number" })),
    make("div", { class: "grid" }),
    make("p", { class: "why" }),
    make("p", { class: "about" }),
    make("ul", { class: "pools" }),
    make("div", { class: "actions" },
      ...first.map(([verb]) => button(verb)),
      make("details", { class: "more" }, make("summary", { "aria-label": `More for ${name}` }, "More"), make("div", {}, ...more.map(([verb]) => button(verb)))),
    ),
  );
  return { card, picture: "" };
}

function fill(entry, node, now) {
  const { card } = entry;
  const draining = node.state === "draining" || node.state === "drained";
  const part = (selector) => card.querySelector(selector);
  say(part(".state"), `${node.state}${draining && node.pending ? ", not yet there" : ""} for ${span(now - node.since)}`);
  const ends = node.last_end ? `, over by ${clock(node.last_end)} at the latest` : "";
  const left = draining && node.claimed ? `${node.claimed} left${ends}` : node.state === "down" && node.claimed ? `had ${node.claimed} visitors` : "";
  // The state stands beside the name already.
  const reason = node.reason.startsWith(`${node.state}: `) ? node.reason.slice(node.state.length + 2) : node.reason === node.state ? "" : node.reason;
  say(part(".why"), [reason, left, ...node.problems].filter(Boolean).join("; "));
  part(".why").title = part(".why").textContent;
  const age = node.age === null ? "never polled" : `stats ${span(node.age)} old`;
  const pools = Object.entries(node.pools);
  const alone = pools.length < 2 && node.image;
  say(part(".about"), [age, node.software && `v${node.software}`, alone].filter(Boolean).join(" · "));
  const picture = JSON.stringify([node.state, node.slots, node.url, node.pools]);
  if (entry.picture === picture) return;
  entry.picture = picture;
  card.className = `node ${node.state}`;
  part("h3 a").href = `${node.url}/info`;
  part(".about").title = node.image;
  part(".pools").replaceChildren(...(pools.length < 2 ? [] : pools.map(([name, pool]) => make("li", { title: pool.image }, make("b", {}, name), ` ${pool.image}`))));
  const total = Object.values(node.slots).reduce((sum, number) => sum + number, 0);
  say(part(".number"), total && !node.slots.unknown ? `${node.claimed} / ${total}` : "");
  part(".number").title = "in use / all";
  part(".grid").replaceChildren(total ? grid(node.slots) : "");
  if (!MAY_CHANGE) return;
  part("[data-verb=drain]").hidden = draining;
  part("[data-verb=resume]").hidden = !draining;
}

export function drawNodes(picture, press) {
  const wanted = by("find").value.trim().toLowerCase();
  const images = (node) => Object.values(node.pools).map((pool) => pool.image).join(" ");
  const matching = picture.nodes.filter((node) => `${node.name} ${node.state} ${images(node)}`.toLowerCase().includes(wanted));
  const key = {
    name: () => 0,
    trouble: (node) => TROUBLE.indexOf(node.problems.length ? "suspect" : node.state),
    free: (node) => -(node.slots.ready || 0),
    claimed: (node) => -node.claimed,
  }[by("order").value];
  matching.sort((one, other) => key(one) - key(other) || one.name.localeCompare(other.name, undefined, { numeric: true }));
  const names = new Set(picture.nodes.map((node) => node.name));
  for (const name of [...shown.keys()]) if (!names.has(name)) shown.delete(name);
  const cards = matching.map((node) => {
    if (!shown.has(node.name)) shown.set(node.name, newCard(node.name, press));
    fill(shown.get(node.name), node, picture.at);
    return shown.get(node.name).card;
  });
  const list = by("nodes");
  list.classList.toggle("dense", picture.nodes.length >= DENSE_FROM);
  if (cards.length !== list.children.length || cards.some((card, place) => list.children[place] !== card)) list.replaceChildren(...cards);
  by("nothing").hidden = cards.length > 0;
  say(by("nothing"), picture.nodes.length ? "No node matches." : "The fleet has no nodes yet; add one with the button above.");
}
