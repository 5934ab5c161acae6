// The waiting room: asks how the place stands, shows it, and goes on to the notebook.
"use strict";

(() => {
  const room = document.getElementById("room");
  const GIVE_UP_MS = 15000;
  const SPEAK_EVERY_MS = 20000;
  // Here asking again would not help, and the page for it says why.
  const FINAL = ["full", "limited", "unknown_pool", "bad_request", "not_found"];

  let next = room.dataset.next;
  let seconds = Number(room.dataset.seconds);
  let failures = 0;
  let spokenAt = 0;

  const later = ticker();

  function ticker() {
    try {
      const clock = new Worker(room.dataset.clock);
      clock.onmessage = ask;
      return (ms) => clock.postMessage(ms);
    } catch {
      return (ms) => setTimeout(ask, ms);
    }
  }

  async function ask() {
    const giveUp = new AbortController();
    const timer = setTimeout(() => giveUp.abort(), GIVE_UP_MS);
    try {
      const answer = await fetch(next, {
        headers: { Accept: "application/json" },
        cache: "no-store",
        signal: giveUp.signal,
      });
      if (heard(await answer.json())) return;
    } catch {
      // No connection, or a proxy's own page: the place is kept for a while.
      failures += 1;
    } finally {
      clearTimeout(timer);
    }
    room.querySelector("[data-lost]").hidden = failures < 2;
    later(1000 * Math.min(seconds * (1 + failures), 10));
  }

  // True if this was the last word.
  function heard(said) {
    if (said.url) {
      location.replace(said.url);
      return true;
    }
    if (FINAL.includes(said.status)) {
      location.reload();
      return true;
    }
    if (["filling", "fetching"].includes(said.status)) {
      failures = 0;
      seconds = said.retry_after;
      next = said.next;
      return false;
    }
    if (said.status !== "waiting") throw new Error(said.status);
    failures = 0;
    seconds = said.retry_after;
    next = said.next;
    if (!said.keeps) keepInAddress();
    show(said);
    return false;
  }

  // Without a cookie the address keeps the place, also when the page is loaded again.
  function keepInAddress() {
    if (location.pathname + location.search !== next) history.replaceState(null, "", next);
  }

  function show(said) {
    const minutes = said.expected_seconds === null ? null : Math.ceil(said.expected_seconds / 60);
    choose("mood", said.mood);
    choose("wait", said.mood === "full" ? spanOf(minutes) : "");
    number("position", said.position);
    number("waiting", said.waiting);
    number("minutes", minutes);
    document.title = document.title.replace(/^\(\d+\)/, `(${said.position})`);
    speak();
  }

  function spanOf(minutes) {
    if (minutes === null) return "unknown";
    if (minutes < 2) return "soon";
    return minutes > 60 ? "long" : "minutes";
  }

  function choose(group, name) {
    for (const element of room.querySelectorAll(`[data-group="${group}"] > [data-case]`)) {
      element.hidden = element.dataset.case !== name;
    }
  }

  function number(name, value) {
    for (const element of room.querySelectorAll(`[data-number="${name}"]`)) element.textContent = value ?? "";
  }

  // A screen reader hears how things stand now and then, not at every change of a number.
  function speak() {
    if (spokenAt && Date.now() - spokenAt < SPEAK_EVERY_MS) return;
    spokenAt = Date.now();
    const shown = [...room.querySelectorAll("[data-group] > [data-case]:not([hidden])")];
    room.querySelector("[data-spoken]").textContent = shown.map((element) => element.textContent).join(" ");
  }

  ask();
})();
