// What is searched for and filtered by stands in the address: a reload, a bookmark and a colleague see the same.

import { by } from "./dom.js";

const FIELDS = { find: "", order: "trouble", "event-node": "", "event-from": "", "event-until": "" };

// Fills the fields from the address, and keeps the address as the fields are; `changed` is called with the field's id.
export function keep(changed) {
  read();
  for (const id of Object.keys(FIELDS)) {
    by(id).addEventListener(by(id).tagName === "SELECT" ? "change" : "input", () => {
      write();
      changed(id);
    });
  }
  window.addEventListener("popstate", () => {
    read();
    changed("");
  });
}

export function put(values) {
  for (const [id, value] of Object.entries(values)) by(id).value = value;
  write(true);
}

function read() {
  const query = new URLSearchParams(location.search);
  for (const [id, usual] of Object.entries(FIELDS)) {
    by(id).value = query.get(id) ?? usual;
    // A select has no such value, a time is none.
    if (!by(id).value) by(id).value = usual;
  }
}

function write(asStep = false) {
  const query = new URLSearchParams();
  for (const [id, usual] of Object.entries(FIELDS)) if (by(id).value !== usual) query.set(id, by(id).value);
  const text = query.toString();
  const address = `${location.pathname}${text ? `?${text}` : ""}${location.hash}`;
  if (asStep) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}
