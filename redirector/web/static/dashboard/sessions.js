// Visitors' sessions, asked of the nodes when somebody opens the list. Never an address: that is its visitor's alone.

import { ask } from "./dialog.js";
import { by, make, say, span } from "./dom.js";

const MOST = 500;
const root = document.body.dataset.root;
let nodes = [];

export async function openSessions(name) {
  nodes = name ? [name] : [];
  say(by("sessions").querySelector("h2"), name ? `Sessions on ${name}` : "Sessions");
  by("sessions").hidden = false;
  by("sessions").scrollIntoView();
  await refresh();
}

async function refresh() {
  const list = by("sessions").querySelector("tbody"), note = by("sessions").querySelector(".quiet");
  say(note, "asking the nodes…");
  try {
    const answer = await fetch(`${root}/sessions.json?${new URLSearchParams(nodes.map((name) => ["node", name]))}`, { cache: "no-store" });
    if (answer.status === 401) return location.reload();
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.message);
    const sorted = said.sessions.sort((one, other) => (other.age_seconds ?? 0) - (one.age_seconds ?? 0));
    list.replaceChildren(...sorted.slice(0, MOST).map(row));
    const missing = said.unanswered.map((each) => each.node).join(", ");
    const count = sorted.length > MOST ? `the ${MOST} oldest of ${sorted.length}` : sorted.length === 1 ? "one session" : `${sorted.length} sessions`;
    say(note, count + (missing ? `; ${missing} did not answer` : ""));
  } catch (problem) {
    say(note, problem.message || "no answer");
  }
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
  by("refresh-sessions").addEventListener("click", refresh);
  by("close-sessions").addEventListener("click", () => { by("sessions").hidden = true; });
}
