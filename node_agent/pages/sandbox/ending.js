// Asks the node how long the sandbox has left, warns before it ends, says so when it has ended, and what operators say.
function followTime(base, key, entry, reportNow) {
  const SECOND = 1000;
  const LOOK = 60; // How often to ask at least: a sandbox may also end before its time.
  const LAST_CALL = 60; // A warning that was sent away comes back once for the last minute.
  const WORDS = {
    idle: "Nobody has used it for a while.",
    max_age: "Every notebook here ends after a set time, and this one’s is up.",
  };

  const notice = makeNotice();
  const label = makeLabel(() => (gone ? tellGone() : tellAbout()));
  const actions = makeActions(base, entry, { keep, dismiss });
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
    if (last.most_seconds_left) label.show(`${brief(last.most_seconds_left)} left`, lasting());
    if (left > warn) {
      dismissed = Infinity;
      relay(last.say);
      return Math.min(LOOK, Math.max(1, left - warn));
    }
    if (dismissed === Infinity || (dismissed > LAST_CALL && left <= LAST_CALL)) {
      dismissed = Infinity;
      warnOf(left, reason);
    } else if (notice.kind !== "warning") relay(last.say);
    return Math.min(15, Math.max(1, left));
  }

  function show(kind, heading, text) {
    const offered = actions.filter(({ on }) => on.includes(kind))
      .map(({ label: name, run, href }) => [name(last ?? {}), href ? href() : run]);
    notice.show(kind, heading, text, offered.filter(([name]) => name));
  }

  function dismiss() {
    if (notice.kind === "warning") dismissed = last.seconds_left;
    if (notice.kind === "message") heard = last.say;
    notice.hide();
  }

  // What the operators say to everybody. It is text, whatever stands in it.
  function relay(text) {
    if (text && text !== heard) show("message", "From the operators:", text);
    else if (notice.kind !== "about") notice.hide();
  }

  function warnOf(left, reason) {
    const minutes = Math.ceil(left / 60);
    const time = left < 60 ? "in less than a minute" : `in ${minutes} minute${minutes === 1 ? "" : "s"}`;
    show("warning", `This notebook ends ${time}.`,
      `${WORDS[reason] ?? ""} ${reason === "idle" ? "" : "Download what you want to keep."}`.trim());
  }

  // The click itself is a report already, if none was made a moment ago.
  function keep() {
    notice.hide();
    reportNow().then(ask);
  }

  function lasting() {
    const most = `It ends in ${brief(last.most_seconds_left)} at the latest`;
    return last.idle_seconds ? `${most}, and after ${brief(last.idle_seconds)} in which nobody uses it.` : `${most}.`;
  }

  function tellAbout() {
    show("about", "This notebook is temporary.", `${lasting()} Nothing in it is kept: save what you need.`);
  }

  function tellGone() {
    gone = true;
    watch?.disconnect();
    label.show("ended", "This notebook has ended.");
    const why = last && last.seconds_left <= 90 ? WORDS[last.reason] : "";
    show("gone", "This notebook has ended.",
      `${why} What you see can still be read and copied, but it cannot be run or saved here any more.`.trim());
  }

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

// A length of time for people in a hurry, rounded down: nobody is promised more than there is.
function brief(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return "less than 1 min";
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)} h${rest ? ` ${rest} min` : ""}`;
}
