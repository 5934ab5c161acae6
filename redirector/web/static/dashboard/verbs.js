// What operators do, as the dialog asks for it: a button's word, a sentence, and the fields to fill in.

const POOL = { name: "pool", label: "Pool", pools: true };
const TOKEN = { name: "token", label: "Its token", hint: "the file “token” in its state directory", type: "password" };
const NAME = { name: "name", label: "Name", hint: "if not its own" };

export const VERBS = {
  drain: { label: "Drain", what: "No new visitors; the sessions that are there go on until they end by themselves." },
  resume: { label: "Resume", what: "Visitors are sent there again." },
  remove: { label: "Remove", what: "The fleet forgets this node and its token." },
  selftest: { label: "Selftest", what: "A trial sandbox runs a cell there; visitors notice nothing.", fields: [POOL], reason: false },
  roll: {
    label: "Roll", what: "Its pool moves to another image and proves it by a selftest. Sessions keep what they have.",
    fields: [POOL, { name: "image", label: "Image", required: true }], steps: true,
  },
  rotate: {
    label: "Rotate", what: "Another node takes its place: it is added, warmed up and tested, then this one drains and is removed. Closing this stops where it is; asked again, it goes on.",
    fields: [{ name: "url", label: "The new node's URL", required: true }, TOKEN, NAME], steps: true,
  },
  sessions: { label: "Sessions" },
  events: { label: "Events" },
  say: { label: "Say", what: "Pages of its sessions show a line within a minute, and so do those that open meanwhile." },
  add: {
    label: "Add", what: "The node has to answer and to accept its token.",
    fields: [{ name: "url", label: "URL", required: true }, TOKEN, NAME, { name: "control_url", label: "Control URL", hint: "if it has a private address" }],
  },
};

export const SAY_FIELDS = [
  { name: "text", label: "Text", required: true, limit: 300 },
  { name: "seconds", label: "For", options: [["3600", "1 h"], ["14400", "4 h"], ["43200", "12 h"], ["86400", "1 d"]], value: "14400" },
];

export const READING = ["sessions", "events"];

// A card's buttons: those that are always there, and those behind "More".
export const BUTTONS = [
  ["drain", "card"], ["resume", "card"], ["remove", "card"],
  ["sessions", "more"], ["events", "more"], ["say", "more"], ["selftest", "more"], ["roll", "more"], ["rotate", "more"],
];
