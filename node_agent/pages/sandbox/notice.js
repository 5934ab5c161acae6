// Shows notices above everything else, in a tree of their own, so that no style of the page reaches them and none of theirs
// the page. Knows nothing of what they say.
function makeNotice() {
  let host = null;
  let runs = new Map(); // What each control does.
  let following = null;

  function hide() {
    following?.disconnect();
    following = null;
    host?.remove();
    host = null;
    runs = new Map();
  }

  // `actions` are pairs of a label and either an address or a function.
  function show(kind, heading, text, actions) {
    if (host && host.dataset.kind !== kind) hide();
    const id = JSON.stringify([heading, text, actions.map(([label]) => label)]);
    // Said once, not at every look.
    if (host?.dataset.said === id) return;
    const held = host?.shadowRoot.activeElement?.textContent;
    if (!host) appear(kind);
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
    runs = new Map();
    for (const [label, action] of actions) {
      const control = document.createElement(typeof action === "string" ? "a" : "button");
      control.textContent = label;
      if (typeof action === "string") control.href = action;
      else runs.set(control, action);
      row.append(control);
    }
    const progress = box.querySelector("output") ?? document.createElement("output");
    box.replaceChildren(words, row, progress);
    // The minutes moved on under somebody's fingers: give the key focus back.
    if (held) [...row.children].find((each) => each.textContent === held)?.focus();
  }

  function appear(kind) {
    host = document.createElement("div");
    host.id = "tmpnb-notice";
    host.attachShadow({ mode: "open" }).innerHTML = `<style>${STYLE}</style><section></section>`;
    host.dataset.kind = kind;
    host.popover = "manual";
    host.style.cssText = "all: initial; position: fixed; z-index: 2147483647; inset: auto 0 0 0; pointer-events: none;";
    place();
    following = new MutationObserver(place);
    const changes = { childList: true, subtree: true, attributes: true, attributeFilter: ["open"] };
    following.observe(document.documentElement, changes);
  }

  // A modal dialog of the page lies over everything and makes it inert, but what is in it. JupyterLab opens one about the
  // kernel just when the sandbox ends.
  function place() {
    const inside = [...document.querySelectorAll("dialog:modal")].at(-1) ?? document.body;
    if (host.parentNode !== inside) inside.prepend(host); // the first thing that a keyboard meets
    if (host.showPopover && !host.matches(":popover-open")) host.showPopover();
  }

  function tell(text) {
    const progress = host?.shadowRoot.querySelector("output");
    if (progress) progress.textContent = text ?? "";
  }

  async function run(action) {
    try {
      tell(await action(tell));
    } catch {
      tell("That did not work: the server does not answer as it should.");
    }
  }

  // Dialogs draw the focus back and take clicks and keys for their own; what happens in a notice is none of the page's
  // business. Buttons and links still do what browsers have them do.
  const kinds = ["keydown", "keyup", "keypress", "pointerdown", "pointerup", "mousedown", "mouseup", "click", "contextmenu",
    "focus", "focusin", "blur", "focusout", "touchstart", "touchend"];
  for (const kind of kinds) {
    window.addEventListener(kind, (event) => {
      const path = event.composedPath();
      if (!host || !path.includes(host)) return;
      event.stopImmediatePropagation();
      const action = kind === "click" && runs.get(path.find((each) => runs.has(each)));
      if (action) run(action);
    }, true);
  }

  const STYLE = `
    section {
      pointer-events: auto; box-sizing: border-box; margin: 0 auto 1.25rem; padding: .85rem 1rem;
      width: min(46rem, calc(100vw - 2rem)); display: flex; flex-wrap: wrap; align-items: center; gap: .6rem 1rem;
      font: 15px/1.45 system-ui, sans-serif; color: #23272e; background: #fffaf0; border: 1px solid #d99a1c;
      border-left-width: 6px; border-radius: 8px; box-shadow: 0 4px 24px rgb(0 0 0 / .3);
    }
    section.gone { background: #fff; border-color: #b04f0c; }
    section.about, section.message { background: #fff; border-color: #8a8f98; }
    p { margin: 0; flex: 1 1 16rem; }
    div { display: flex; flex-wrap: wrap; gap: .5rem; }
    output { flex-basis: 100%; }
    output:empty { display: none; }
    button, a {
      font: inherit; font-weight: 600; padding: .4rem .8rem; border-radius: 6px; border: 1px solid #b04f0c; cursor: pointer;
      color: #b04f0c; background: transparent; text-decoration: none;
    }
    div > :first-child { background: #b04f0c; color: #fff; }
    :focus-visible { outline: 3px solid #2f6fd0; outline-offset: 2px; }
    @media (prefers-color-scheme: dark) {
      section, section.gone, section.about, section.message { color: #e8e6e1; background: #1e2227; }
      button, a { color: #f3913f; border-color: #f3913f; }
      div > :first-child { background: #f3913f; color: #1b1206; }
    }
  `;

  return { show, hide, get kind() { return host?.dataset.kind; } };
}
