// Says all the time, and in the browser's tab, that this is a temporary notebook.

const SUFFIX = " · temporary";
const ICON = `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
  <circle cx="16" cy="16" r="15" fill="#e46e2e"/>
  <path d="M16 7v9l6 5" fill="none" stroke="#fff" stroke-width="3.5" stroke-linecap="round" stroke-linejoin="round"/></svg>`)}`;

function markTab() {
  const mark = () => { if (document.title && !document.title.endsWith(SUFFIX)) document.title += SUFFIX; };
  mark();
  new MutationObserver(mark).observe(document.head, { childList: true, characterData: true, subtree: true });
  // JupyterLab has a second icon for while something runs; that one is left to it.
  const icons = document.querySelectorAll('link[rel~="icon"]:not(.busy)');
  for (const icon of icons.length ? icons : [document.head.appendChild(document.createElement("link"))]) {
    icon.rel = "icon";
    icon.type = "image/svg+xml";
    icon.href = ICON;
  }
}

// A small label at the lower edge, within JupyterLab's status bar where there is one; `open` is what a click on it does.
function makeLabel(open) {
  const BAR = ".jp-StatusBar-Middle";
  const UNTIL = 60_000; // Milliseconds in which the program of a page has put up its status bar, or has none.
  let host = null;
  let hidden = false;

  function appear() {
    host = document.createElement("div");
    host.id = "tmpnb-label";
    host.style.cssText = "all: initial; position: fixed; z-index: 100; inset: auto 0 1px 0; pointer-events: none;";
    const looking = new MutationObserver(place);
    host.attachShadow({ mode: "open" }).innerHTML = `<style>${LABEL_STYLE}</style>
      <aside aria-label="Temporary notebook"><button class="open"><span>Temporary · </span><b></b></button><button class="hide" aria-label="Hide this label">×</button></aside>`;
    const [opener, hider] = host.shadowRoot.querySelectorAll("button");
    opener.addEventListener("click", open);
    hider.addEventListener("click", () => {
      hidden = true;
      host.remove();
    });
    document.body.append(host);
    looking.observe(document.body, { childList: true, subtree: true });
    setTimeout(() => looking.disconnect(), UNTIL);

    function place() {
      const bar = document.querySelector(BAR);
      if (!bar) return;
      looking.disconnect();
      host.style.cssText = "all: initial; margin: auto;";
      bar.append(host);
    }
  }

  // `words` are seen, `sentence` is said by a screen reader and on hovering.
  function show(words, sentence) {
    if (hidden) return;
    if (!host) appear();
    const opener = host.shadowRoot.querySelector(".open");
    opener.querySelector("b").textContent = words;
    opener.title = sentence;
  }

  const LABEL_STYLE = `
    aside {
      pointer-events: auto; display: flex; width: fit-content; margin: 0 auto; border-radius: 10px; overflow: hidden;
      font: 12px/20px system-ui, sans-serif; color: #5c3a12; background: #fdebd3;
    }
    button { all: unset; cursor: pointer; padding: 0 .3rem 0 .6rem; white-space: nowrap; }
    b { font-weight: inherit; }
    .hide { padding: 0 .5rem 0 .2rem; }
    button:hover { text-decoration: underline; }
    button:focus-visible { outline: 2px solid #2f6fd0; outline-offset: -2px; border-radius: 10px; }
    @media (prefers-color-scheme: dark) { aside { color: #ffd9a8; background: #4a3214; } }
    @media (max-width: 480px) { span { display: none; } }
    @media print { aside { display: none; } }
  `;
  return { show };
}
