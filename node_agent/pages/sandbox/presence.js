// Whoever opens a page or uses it is at work here, and a page that asks for things by itself is nobody: the node goes
// by what is reported here, now and again as long as it goes on. In pages within pages too, for they have the keys.
// Returns a function that reports at once.
function reportPresence(key) {
  let reporting = 0;
  let again = false;
  let pause = 2; // Seconds, until the node has said how often it wants to hear of it.
  async function report() {
    again = Boolean(reporting);
    if (again) return;
    reporting = setTimeout(() => {
      reporting = 0;
      if (again) report();
    }, pause * 1000);
    try {
      const answer = await fetch(`/-/left/${key}`, { method: "POST", cache: "no-store", credentials: "omit" });
      if (answer.status === 410) pause = 3600;
      else if (answer.ok) pause = (await answer.json()).report_seconds || 30;
    } catch { /* no network, or the node is away for a moment: whoever is at work does the next thing soon */ }
  }
  for (const kind of ["keydown", "pointerdown", "wheel", "touchmove", "input", "paste", "drop"])
    window.addEventListener(kind, (event) => { if (event.isTrusted) report(); }, { capture: true, passive: true });
  report();

  return () => {
    clearTimeout(reporting);
    reporting = 0;
    return report();
  };
}
