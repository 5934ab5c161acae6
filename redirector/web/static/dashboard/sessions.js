// Visitors' sessions, asked of the nodes when somebody opens the list. Never an address: that is its visitor's alone.

import { ask } from "./dialog.js";
import { by, make, say, span } from "./dom.js";

const MOST = 500;
const root = document.body.dataset.root;
let nodes = [], sessions = [], silent = [];

export async function openSessions(name) {
  nodes = name ? [name] : [];
  say(by("sessions").querySelector("h2"), name ? `Sessions on ${name}` : "Sessions");
  by("sessions").hidden = false;
  by("sessions").scrollIntoView();
  await refresh();
}

async function refresh() {
  const note = by("sessions").querySelector(".quiet");
  say(note, "asking the nodes…");
  try {
    const answer = await fetch(`${root}/sessions.json?${new URLSearchParams(nodes.map((name) => ["node", name]))}`, { cache: "no-store" });
    if (answer.status === 401) return location.reload();
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.message);
    sessions = said.sessions.sort((one, other) => (other.age_seconds ?? 0) - (one.age_seconds ?? 0));
    silent = said.unanswered.map((each) => each.node);
    drawList();
  } catch (problem) {
    say(note, problem.message || "no answer");
  }
}

// All that match are counted, and of those the oldest are shown: a page of thousands of rows would hang.
function drawList() {
  const words = by("find-session").value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (session) => `${session.node} ${session.name} ${session.pool || ""} ${session.busy ? "busy" : ""} ${session.ends_reason || ""}`.toLowerCase();
  const matching = words.length ? sessions.filter((session) => words.every((word) => text(session).includes(word))) : sessions;
  by("sessions").querySelector("tbody").replaceChildren(...matching.slice(0, MOST).map(row));
  const all = sessions.length === 1 ? "one session" : `${sessions.length} sessions`;
  const count = words.length ? `${matching.length} of ${all}` : all;
  const cut = matching.length > MOST ? `, the ${MOST} oldest are shown` : "";
  say(by("sessions").querySelector(".quiet"), count + cut + (silent.length ? `; ${silent.join(", ")} did not answer` : ""));
}

function row(session) {
  const known = (value, text) => (value === null ? "?" : text(value));
  const ends = session.ends_reason === "ending" ? "now" : known(session.ends_in_seconds, (seconds) => `in ${span(seconds)} (${session.ends_reason})`);
  const end = make("button", { type: "button", "aria-label": `End ${session.name}` }, "End");
  end.addEventListener("click", () => ask({
    heading: `End session ${session.name}?`, what: "Its visitor loses what was not downloaded.", button: "End",
    path: `sessions/${encodeURIComponent(session.name)}/end`, body: { node: session.node },
    told: (said) => (said.changed ? "" : "It had ended already."), after: refresh,
  }));
  const cells = [
    session.node, session.name, session.pool || "?", known(session.age_seconds, span), known(session.idle_seconds, span),
    known(session.memory_bytes, (bytes) => `${Math.round(bytes / 2 ** 20)} MiB`), session.busy ? "busy" : "", ends,
  ];
  return make("tr", { "data-session": session.name }, ...cells.map((text) => make("td", {}, text)), make("td", { class: "changes" }, end));
}

export function prepareSessions() {
  by("open-sessions").addEventListener("click", () => openSessions(""));
  by("find-session").addEventListener("input", drawList);
  by("refresh-sessions").addEventListener("click", refresh);
  by("close-sessions").addEventListener("click", () => { by("sessions").hidden = true; });
}
