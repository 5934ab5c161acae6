// The fleet's history, by node and time.

import { put } from "./address.js";
import { by, make, moment, say, zone } from "./dom.js";

const WORDS = {
  node_added: "added", node_changed: "changed", node_moved: "moved", node_removed: "removed", node_up: "is up", node_down: "is down",
  node_suspect: "is suspect", node_joining: "is joining", drain: "draining", drain_with_end: "draining, with an end",
  resume: "resumed", roll: "new image", resize: "resized", sessions_ended: "sessions ended", end_dropped: "sessions live on", session_ended: "session ended", say: "says", say_no_more: "says no more",
  content_added: "content added", content_removed: "content removed", content_refresh: "content asked for", content_fetched: "content is new",
  content_failed: "content not fetched", content_allowed: "links allowed", content_denied: "links denied",
};

// What the server is to filter by; times as the reader's clock has them.
export function eventQuery() {
  const query = new URLSearchParams();
  const seconds = (id) => (by(id).value ? Math.floor(new Date(by(id).value).getTime() / 1000) : 0);
  if (by("event-node").value) query.set("node", by("event-node").value.trim());
  if (seconds("event-from") > 0) query.set("from", String(seconds("event-from")));
  if (seconds("event-until") > 0) query.set("until", String(seconds("event-until") + 59));
  return query.toString();
}

export function showEventsOf(name, look) {
  put({ "event-node": name, "event-from": "", "event-until": "" });
  look();
  by("history").scrollIntoView();
}

export function drawEvents(list, nodes, look) {
  const filtered = eventQuery();
  by("all-events").hidden = !filtered;
  say(by("event-zone"), zone());
  const names = nodes.map((node) => node.name).join("\n");
  if (by("node-names").dataset.names !== names) {
    by("node-names").dataset.names = names;
    by("node-names").replaceChildren(...nodes.map((node) => make("option", { value: node.name })));
  }
  const newest = `${filtered}:${list.length ? list[0].id : "none"}`;
  if (by("events").dataset.newest === newest) return;
  by("events").dataset.newest = newest;
  by("events").replaceChildren(...list.map((event) => make("li", {},
    make("time", { datetime: new Date(event.at * 1000).toISOString() }, moment(event.at)),
    whose(event.node, look),
    make("span", {}, WORDS[event.kind] || event.kind),
    make("span", {}, event.reason, event.by && event.by !== "poller" ? make("span", { class: "by" }, `${event.reason ? " " : ""}by ${event.by}`) : ""),
  )));
  if (!list.length) by("events").append(make("li", { class: "quiet" }, filtered ? "Nothing has happened there then." : "Nothing has happened yet."));
}

function whose(name, look) {
  if (!name) return make("b", {}, "–");
  const button = make("button", { type: "button", class: "plain", title: `Only events of ${name}` }, name);
  button.addEventListener("click", () => showEventsOf(name, look));
  return make("b", {}, button);
}
