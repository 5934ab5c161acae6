// Keeps the dashboard current: asks for the whole picture every two seconds while somebody looks, redraws what changed.
(() => {
  "use strict";
  const EVERY = 2000;
  const PATIENCE = 8000;
  const DENSE_FROM = 40;
  const STATES = ["claimed", "ready", "starting", "ending", "draining", "free", "unknown"];
  const TROUBLE = ["down", "suspect", "joining", "draining", "drained", "up"];
  const COLUMNS = 20;
  const MOST_CELLS = 800;
  const VERBS = {
    drain: ["Drain", "No new visitors; the sessions that are there go on until they end by themselves."],
    resume: ["Resume", "Visitors are sent there again."],
    remove: ["Remove", "The fleet forgets this node and its token."],
  };
  const WORDS = {
    node_added: "added", node_changed: "changed", node_moved: "moved", node_removed: "removed", node_up: "is up", node_down: "is down",
    node_suspect: "is suspect", node_joining: "is joining", drain: "draining", drain_with_end: "draining, with an end",
    resume: "resumed", roll: "new image", sessions_ended: "sessions ended", end_dropped: "sessions live on",
  };
  const SVG = "http://www.w3.org/2000/svg";
  const root = document.body.dataset.root;
  const csrf = document.querySelector("meta[name=csrf]").content;
  const by = (id) => document.getElementById(id);
  const shown = new Map(); // cards by name of node, with the picture that each shows
  let last = null;

  // Small things.

  function make(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function draw(tag, attributes) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function span(seconds) {
    for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
      if (seconds >= 2 * length) return `${Math.floor(seconds / length)} ${unit}`;
    }
    return `${Math.max(0, Math.round(seconds))} s`;
  }

  const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const moment = (seconds) => new Date(seconds * 1000).toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

  // One node.

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

  function newCard(name) {
    const card = make("article", { class: "node", "data-node": name });
    const link = make("a", { target: "_blank", rel: "noreferrer" });
    link.textContent = name;
    card.append(
      make("header", {}, make("h3", {}, link), make("span", { class: "state" }), make("span", { class: "number" })),
      make("div", { class: "grid" }),
      make("p", { class: "why" }),
      make("p", { class: "about" }),
      make("div", { class: "actions" }, ...Object.entries(VERBS).map(([verb, [label]]) => {
        const button = make("button", { type: "button", "data-verb": verb, "aria-label": `${label} ${name}` }, label);
        button.addEventListener("click", () => ask(verb, name));
        return button;
      })),
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
    say(part(".about"), [age, node.software && `v${node.software}`, node.image].filter(Boolean).join(" · "));
    const picture = JSON.stringify([node.state, node.slots, node.url]);
    if (entry.picture === picture) return;
    entry.picture = picture;
    card.className = `node ${node.state}`;
    part("h3 a").href = `${node.url}/info`;
    part(".about").title = node.image;
    const total = Object.values(node.slots).reduce((sum, number) => sum + number, 0);
    say(part(".number"), total && node.state !== "down" ? `${node.claimed} / ${total}` : "");
    part(".number").title = "in use / all";
    part(".grid").replaceChildren(total ? grid(node.slots) : "");
    part("[data-verb=drain]").hidden = draining;
    part("[data-verb=resume]").hidden = !draining;
  }

  function nodes(picture) {
    const wanted = by("find").value.trim().toLowerCase();
    const order = by("order").value;
    const found = picture.nodes.filter((node) => `${node.name} ${node.state}`.toLowerCase().includes(wanted));
    const key = {
      name: () => 0,
      trouble: (node) => TROUBLE.indexOf(node.problems.length ? "suspect" : node.state),
      free: (node) => -(node.slots.ready || 0),
      claimed: (node) => -node.claimed,
    }[order];
    found.sort((one, other) => key(one) - key(other) || one.name.localeCompare(other.name, undefined, { numeric: true }));
    const names = new Set(picture.nodes.map((node) => node.name));
    for (const name of [...shown.keys()]) if (!names.has(name)) shown.delete(name);
    const cards = found.map((node) => {
      if (!shown.has(node.name)) shown.set(node.name, newCard(node.name));
      fill(shown.get(node.name), node, picture.at);
      return shown.get(node.name).card;
    });
    const list = by("nodes");
    list.classList.toggle("dense", picture.nodes.length >= DENSE_FROM);
    if (cards.length !== list.children.length || cards.some((card, place) => list.children[place] !== card)) list.replaceChildren(...cards);
    by("nothing").hidden = cards.length > 0;
    say(by("nothing"), picture.nodes.length ? "No node matches." : "The fleet has no nodes yet; add one: tmpnb node add URL");
  }

  // The rest of the page.

  function totals(fleet) {
    say(by("claimed"), String(fleet.claimed));
    by("available").replaceChildren(String(fleet.available), make("small", {}, ` of ${fleet.capacity}`));
    say(by("coming"), String(fleet.starting));
    say(by("waiting"), String(fleet.waiting));
    const counts = Object.entries(fleet.nodes).map(([state, count]) => `${count} ${state}`).join(", ");
    say(by("counts"), counts || "none yet");
    const before = [...by("alarms").children].map((line) => line.textContent);
    if (before.join("\n") !== fleet.alarms.join("\n")) by("alarms").replaceChildren(...fleet.alarms.map((text) => make("p", {}, text)));
    document.title = `${fleet.alarms.length ? "! " : ""}${fleet.available} free, ${fleet.claimed} visitors`;
  }

  function room(lines) {
    const busy = Object.entries(lines).filter(([, line]) => line.waiting);
    by("room").hidden = !busy.length;
    by("room").querySelector("ul").replaceChildren(...busy.map(([pool, line]) => make("li", { "data-pool": pool },
      make("b", {}, pool),
      make("span", {}, `${line.waiting} waiting`),
      make("span", {}, line.first_seconds === null ? "" : `the first for ${span(line.first_seconds)}`),
      make("span", {}, `${line.let_in} let in within 5 min`),
      make("span", {}, line.expected_seconds === null ? "" : `who comes now waits about ${span(line.expected_seconds)}`),
    )));
  }

  function charts(series, now) {
    const top = Math.max(1, ...Object.values(series).flat());
    for (const figure of document.querySelectorAll("figure")) {
      const values = series[figure.dataset.chart];
      if (figure.dataset.values === `${top}:${values}`) continue;
      figure.dataset.values = `${top}:${values}`;
      const sum = values.reduce((all, one) => all + one, 0);
      say(figure.querySelector("b"), `${sum} / h`);
      const svg = draw("svg", { viewBox: `0 0 ${values.length} 30`, preserveAspectRatio: "none", role: "img", "aria-label": `${sum} in the last hour, at most ${Math.max(...values)} a minute` });
      values.forEach((value, minute) => {
        if (!value) return;
        const height = Math.max(1.2, 30 * value / top);
        const bar = draw("rect", { x: minute + .1, y: 30 - height, width: .8, height });
        const title = draw("title", {});
        title.textContent = `${clock(now - (values.length - 1 - minute) * 60)}: ${value}`;
        bar.append(title);
        svg.append(bar);
      });
      figure.querySelector("svg")?.remove();
      figure.append(svg);
    }
  }

  function events(list) {
    const newest = list.length ? `${list[0].id}` : "none";
    if (by("events").dataset.newest === newest) return;
    by("events").dataset.newest = newest;
    by("events").replaceChildren(...list.map((event) => make("li", {},
      make("time", { datetime: new Date(event.at * 1000).toISOString() }, moment(event.at)),
      make("b", {}, event.node),
      make("span", {}, WORDS[event.kind] || event.kind),
      make("span", {}, event.reason, event.by && event.by !== "poller" ? make("span", { class: "by" }, `${event.reason ? " " : ""}by ${event.by}`) : ""),
    )));
    if (!list.length) by("events").append(make("li", { class: "quiet" }, "Nothing has happened yet."));
  }

  function show(picture) {
    last = picture;
    totals(picture.fleet);
    room(picture.fleet.waiting_room);
    charts(picture.charts, picture.at);
    nodes(picture);
    events(picture.events);
  }

  function live(ok, text) {
    by("live").className = `live ${ok ? "ok" : "lost"}`;
    document.body.classList.toggle("lost-picture", !ok);
    say(by("live"), text);
  }

  // What operators do.

  function ask(verb, name) {
    const dialog = by("ask"), form = dialog.querySelector("form");
    const node = last.nodes.find((each) => each.name === name);
    const [label, what] = VERBS[verb];
    form.reset();
    say(dialog.querySelector("h2"), `${label} ${name}?`);
    say(dialog.querySelector(".what"), verb !== "resume" && node.claimed ? `${what} It has ${node.claimed === 1 ? "one visitor" : `${node.claimed} visitors`} now.` : what);
    say(dialog.querySelector(".primary"), label);
    dialog.querySelector(".force").hidden = true;
    dialog.querySelector(".trouble").hidden = true;
    dialog.onclose = () => { dialog.onsubmit = null; };
    form.onsubmit = (event) => {
      if (!event.submitter || event.submitter.value !== "go") return;
      event.preventDefault();
      act(verb, node, dialog, event.submitter);
    };
    dialog.showModal();
  }

  async function act(verb, node, dialog, button) {
    const trouble = dialog.querySelector(".trouble");
    const body = { reason: dialog.querySelector("[name=reason]").value, force: dialog.querySelector("[name=force]").checked, version: String(node.version) };
    button.disabled = true;
    try {
      const answer = await fetch(`${root}/nodes/${encodeURIComponent(node.name)}/${verb}`, {
        method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify(body),
      });
      if (answer.status === 401) return location.reload();
      if (answer.ok) {
        dialog.close();
        return look();
      }
      const refusal = await answer.json();
      say(trouble, refusal.message);
      dialog.querySelector(".force").hidden = !["last_node", "too_little_free", "has_sessions"].includes(refusal.status);
    } catch {
      say(trouble, "No answer came: it may have been done or not. Look at the card before trying again.");
    } finally {
      button.disabled = false;
    }
    trouble.hidden = false;
    return look();
  }

  // The beat.

  async function look() {
    try {
      const answer = await fetch(`${root}/fleet.json`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      if (answer.status === 401) {
        location.reload();
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      show(await answer.json());
      live(true, "live");
    } catch {
      live(false, last ? `no answer; this is the picture of ${new Date(last.at * 1000).toLocaleTimeString()}` : "no answer");
    }
  }

  async function beat() {
    if (!document.hidden) await look();
    setTimeout(beat, EVERY);
  }

  by("find").addEventListener("input", () => last && nodes(last));
  by("order").addEventListener("change", () => last && nodes(last));
  document.addEventListener("visibilitychange", () => document.hidden || look());
  beat();
})();
