// Keeps the dashboard current: asks for the whole picture every two seconds while somebody looks, redraws what changed.

import { keep, put } from "./address.js";
import { drawNodes } from "./cards.js";
import { prepareContents } from "./contents.js";
import { ask } from "./dialog.js";
import { by, moment, say } from "./dom.js";
import { drawEvents, eventQuery, showEventsOf } from "./events.js";
import { drawCharts, drawRoom, drawTotals } from "./overview.js";
import { openSessions, prepareSessions } from "./sessions.js";
import { SAY_FIELDS, VERBS } from "./verbs.js";

const EVERY = 2000;
const PATIENCE = 8000;
const root = document.body.dataset.root;
let last = null;
let round = 0;

function show(picture) {
  last = picture;
  drawTotals(picture.fleet);
  drawRoom(picture.fleet.waiting_room);
  drawCharts(picture.charts, picture.at);
  drawNodes(picture, press);
  drawEvents(picture.events, picture.nodes, look);
}

function press(verb, name) {
  const node = last.nodes.find((each) => each.name === name);
  if (verb === "sessions") return openSessions(name);
  if (verb === "events") return showEventsOf(name, look);
  if (verb === "say") return speak(name);
  const spec = VERBS[verb];
  const visitors = node.claimed === 1 ? "one visitor" : `${node.claimed} visitors`;
  const warns = ["drain", "remove", "rotate"].includes(verb) && node.claimed;
  ask({
    ...spec, heading: `${spec.label} ${name}?`, button: spec.label, what: warns ? `${spec.what} It has ${visitors} now.` : spec.what,
    pools: Object.keys(node.pools), path: `nodes/${encodeURIComponent(name)}/${verb}`,
    body: spec.steps ? {} : { version: String(node.version) }, after: look,
    told: verb === "selftest" ? (said) => `${said.passed ? "Passed" : "Failed"}: ${said.message}` : undefined,
  });
}

function speak(name) {
  ask({
    heading: name ? `Say something on ${name}` : "Say something to all sessions", button: "Say", reason: false,
    what: "Open pages show the line within a minute, those that open meanwhile at once. It is shown as text.",
    fields: SAY_FIELDS, numbers: ["seconds"], path: "say", body: { nodes: name ? [name] : [] }, after: look,
    told: (said) => announced(said, "Shown"),
    instead: { button: "Take back what is said", body: { nodes: name ? [name] : [], text: "" }, told: (said) => announced(said, "Taken back") },
  });
}

function announced(said, done) {
  return [
    said.nodes.length ? `${done} on ${said.nodes.join(", ")}.` : "No node took it over.",
    ...said.failed.map((each) => `${each.node}: ${each.reason}`),
  ].join(" ");
}

function live(ok, text) {
  by("live").className = `live ${ok ? "ok" : "lost"}`;
  document.body.classList.toggle("lost-picture", !ok);
  say(by("live"), text);
}

async function look() {
  const mine = ++round;
  try {
    const query = eventQuery();
    const answer = await fetch(`${root}/fleet.json${query && `?${query}`}`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (answer.status === 401) {
      location.reload();
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    const picture = await answer.json();
    // One that was asked for by a later filter has been drawn already.
    if (mine < round) return;
    show(picture);
    live(true, "live");
  } catch {
    live(false, last ? `no answer; this is the picture of ${moment(last.at)}` : "no answer");
  }
}

async function beat() {
  if (!document.hidden) await look();
  setTimeout(beat, EVERY);
}

keep((id) => {
  if (last) drawNodes(last, press);
  if (id === "" || id.startsWith("event-")) look();
});
by("all-events").addEventListener("click", () => {
  put({ "event-node": "", "event-from": "", "event-until": "" });
  look();
});
by("add").addEventListener("click", () => ask({ ...VERBS.add, heading: "Add a node", button: "Add", path: "nodes", body: {}, after: look }));
by("say").addEventListener("click", () => speak(""));
prepareSessions();
prepareContents();
document.addEventListener("visibilitychange", () => document.hidden || look());
beat();
