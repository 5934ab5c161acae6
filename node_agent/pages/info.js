// Keeps the node's page current: asks /stats every two seconds while somebody looks, and redraws what changed.
(() => {
  "use strict";
  const STATES = ["ready", "claimed", "starting", "ending", "draining", "free"];
  const EVERY = 2000;
  const main = document.querySelector("main");
  const state = document.getElementById("state");
  let shown = "";

  function slotsOf(pool, draining) {
    const ready = draining ? 0 : pool.available;
    const taken = ready + pool.claimed + pool.starting + pool.ending;
    const left = Math.max(0, pool.capacity - taken);
    return {
      ready,
      claimed: pool.claimed,
      starting: pool.starting,
      ending: pool.ending,
      draining: draining ? left : 0,
      free: draining ? 0 : left,
    };
  }

  function words(slots) {
    return STATES.filter((name) => slots[name]).map((name) => `${slots[name]} ${name}`).join(", ");
  }

  function draw(stats) {
    const draining = stats.state === "draining";
    const totals = Object.fromEntries(STATES.map((name) => [name, 0]));
    for (const [name, pool] of Object.entries(stats.pools)) {
      const slots = slotsOf(pool, draining);
      STATES.forEach((each) => { totals[each] += slots[each]; });
      const section = main.querySelector(`[data-pool="${CSS.escape(name)}"]`);
      if (!section) {
        location.reload();
        return;
      }
      const grid = section.querySelector(".slots");
      grid.setAttribute("aria-label", words(slots));
      grid.replaceChildren(...STATES.flatMap((each) => Array.from({ length: slots[each] }, () => {
        const slot = document.createElement("span");
        slot.className = `slot ${each}`;
        return slot;
      })));
      const problem = section.querySelector("[data-problem]");
      problem.textContent = pool.problem || "";
      problem.hidden = !pool.problem;
    }
    for (const name of STATES) {
      main.querySelector(`[data-total="${name}"]`).textContent = totals[name];
    }
    say(draining
      ? "Draining: this node takes no new visitors."
      : `${stats.available} notebooks are ready for visitors; ${stats.claimed} of ${stats.capacity} are in use.`);
    document.title = `${stats.name}: ${stats.claimed} of ${stats.capacity} notebooks in use`;
  }

  // Only what changed is said again to those who listen rather than look.
  function say(sentence) {
    if (state.textContent !== sentence) {
      state.textContent = sentence;
    }
  }

  async function look() {
    if (!document.hidden) {
      try {
        const answer = await fetch("/stats", { cache: "no-store" });
        if (!answer.ok) {
          throw new Error(String(answer.status));
        }
        const text = await answer.text();
        const stats = JSON.parse(text);
        // `seq` counts answers; without it, what has not changed is not drawn again.
        const picture = JSON.stringify({ ...stats, seq: 0 });
        if (picture !== shown) {
          shown = picture;
          draw(stats);
        }
      } catch {
        shown = "";
        say("This node does not answer at the moment. What you see is what it said last.");
      }
    }
    setTimeout(look, EVERY);
  }

  look();
})();
