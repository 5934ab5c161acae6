// Warns before the sandbox ends, and says so when it has ended. Knows nothing of the program in the page.
function tellOfTheEnd(base, key, entry, reportNow) {
  const SECOND = 1000;
  const LOOK = 60; // How often to ask at least: a sandbox may also end before its time.
  const LAST_CALL = 60; // A warning that was sent away comes back once for the last minute.
  const WORDS = {
    idle: "Nobody has used it for a while.",
    max_age: "Every notebook here ends after a set time, and this one’s is up.",
  };

  let timer = 0;
  let askedAt = 0;
  let last = null; // What the node said last.
  let dismissed = Infinity; // Seconds that were left when the warning was sent away.
  let heard = ""; // What operators said, once it was sent away.
  let gone = false;

  async function ask() {
    clearTimeout(timer);
    askedAt = Date.now();
    let next = LOOK;
    try {
      const answer = await fetch(`/-/left/${key}`, { cache: "no-store", credentials: "omit" });
      if (answer.status === 410) {
        tellGone();
        return;
      }
      if (answer.ok) {
        last = await answer.json();
        next = look();
      }
    } catch { /* no network, or the node is away for a moment: ask again */ }
    timer = setTimeout(ask, next * SECOND);
  }

  // Shows or hides the warning; returns the seconds until the next question.
  function look() {
    const { seconds_left: left, warn_seconds: warn, reason } = last;
    if (left > warn) {
      dismissed = Infinity;
      relay(last.say);
      return Math.min(LOOK, Math.max(1, left - warn));
    }
    if (dismissed === Infinity || (dismissed > LAST_CALL && left <= LAST_CALL)) {
      dismissed = Infinity;
      warnOf(left, reason);
    } else if (!host || host.dataset.kind === "message") relay(last.say);
    return Math.min(15, Math.max(1, left));
  }

  // What the operators say to everybody. It is text, whatever stands in it.
  function relay(text) {
    if (text && text !== heard) show("message", "From the operators:", text, [["Dismiss", () => { heard = text; hide(); }]]);
    else hide();
  }

  function warnOf(left, reason) {
    const minutes = Math.ceil(left / 60);
    const time = left < 60 ? "in less than a minute" : `in ${minutes} minute${minutes === 1 ? "" : "s"}`;
    const buttons = [["Dismiss", () => { dismissed = left; hide(); }]];
    if (reason === "idle") buttons.unshift(["Keep it", keep]);
    show("warning", `This notebook ends ${time}.`,
      `${WORDS[reason] ?? ""} ${reason === "idle" ? "" : "Download what you want to keep."}`.trim(), buttons);
  }

  // The click itself is a report already, if none was made a moment ago.
  function keep() {
    hide();
    reportNow().then(ask);
  }

  function tellGone() {
    gone = true;
    watch?.disconnect();
    const why = last && last.seconds_left <= 90 ? WORDS[last.reason] : "";
    const inside = location.pathname.slice(base.length) || "/";
    show("gone", "This notebook has ended.",
      `${why} What you see can still be read and copied, but it cannot be run or saved any more.`.trim(),
      [["Open a fresh one", `${entry}/fresh${inside}${location.search}`], ["Dismiss", hide]]);
  }

  // The words, in a tree of their own, so that no style of the page reaches them and none of theirs the page.

  let host = null;

  function hide() {
    host?.remove();
    host = null;
  }

  function show(kind, heading, text, actions) {
    if (host && host.dataset.kind !== kind) hide();
    const id = JSON.stringify([heading, text]);
    // Said once, not at every look.
    if (host?.dataset.said === id) return;
    const held = host?.shadowRoot.activeElement?.textContent;
    if (!host) {
      host = document.createElement("div");
      host.id = "tmpnb-notice";
      host.attachShadow({ mode: "open" }).innerHTML = `<style>${STYLE}</style><section></section>`;
      host.dataset.kind = kind;
      host.style.cssText = "all: initial; position: fixed; z-index: 2147483647; inset: auto 0 0 0; pointer-events: none;";
      document.body.append(host);
    }
    host.dataset.said = id;
    const box = host.shadowRoot.querySelector("section");
    box.setAttribute("role", kind === "gone" ? "alert" : "status");
    box.setAttribute("aria-label", "About this notebook");
    box.className = kind;
    const words = document.createElement("p");
    const strong = document.createElement("strong");
    strong.textContent = heading;
    words.append(strong, ` ${text}`);
    const row = document.createElement("div");
    for (const [label, action] of actions) {
      const control = document.createElement(typeof action === "string" ? "a" : "button");
      control.textContent = label;
      if (typeof action === "string") control.href = action;
      else control.addEventListener("click", action);
      row.append(control);
    }
    box.replaceChildren(words, row);
    // The minutes moved on under somebody's fingers: give the key focus back.
    if (held) [...row.children].find((each) => each.textContent === held)?.focus();
  }

  const STYLE = `
    section {
      pointer-events: auto; box-sizing: border-box; margin: 0 auto 1.25rem; padding: .85rem 1rem;
      width: min(38rem, calc(100vw - 2rem)); display: flex; flex-wrap: wrap; align-items: center; gap: .6rem 1rem;
      font: 15px/1.45 system-ui, sans-serif; color: #23272e; background: #fffaf0; border: 1px solid #d99a1c;
      border-left-width: 6px; border-radius: 8px; box-shadow: 0 4px 24px rgb(0 0 0 / .3);
    }
    section.gone { background: #fff; border-color: #b04f0c; }
    p { margin: 0; flex: 1 1 16rem; }
    div { display: flex; gap: .5rem; }
    button, a {
      font: inherit; font-weight: 600; padding: .4rem .8rem; border-radius: 6px; border: 1px solid #b04f0c; cursor: pointer;
      color: #b04f0c; background: transparent; text-decoration: none; white-space: nowrap;
    }
    div > :first-child { background: #b04f0c; color: #fff; }
    :focus-visible { outline: 3px solid #2f6fd0; outline-offset: 2px; }
    @media (prefers-color-scheme: dark) {
      section, section.gone { color: #e8e6e1; background: #1e2227; }
      button, a { color: #f3913f; border-color: #f3913f; }
      div > :first-child { background: #f3913f; color: #1b1206; }
    }
  `;

  // Whatever program runs in the page, it meets the end of its server before the next look does.
  let watch = null;
  try {
    watch = new PerformanceObserver((seen) => {
      const lost = seen.getEntries().some((each) => each.responseStatus === 410);
      if (lost && !gone && Date.now() - askedAt > 2 * SECOND) ask();
    });
    watch.observe({ type: "resource" });
  } catch { /* an old browser: the next look is early enough */ }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !gone && Date.now() - askedAt > 5 * SECOND) ask();
  });
  window.addEventListener("online", () => { if (!gone) ask(); });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ask);
  else ask();
}
