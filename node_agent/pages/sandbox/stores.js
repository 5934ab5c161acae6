// Keeps what a page stores and says to itself apart from the pages of other sandboxes.
//
// In origin mode `node` the pages of all sandboxes share a browser origin, and browsers keep stores and channels by
// origin. An event of such a store even names the address of the page that wrote, and with it the key. A hostile page
// can undo whatever a script does there, so this works on the side of the page to be protected: nothing of it is ever
// written where another sandbox's page could read it. What cannot be had apart is not there.

// Forgets everything with its page. `changed` hears of each change that the page makes.
class MemoryStorage {
  #items = new Map();
  #changed;
  constructor(changed = () => {}) { this.#changed = changed; }
  get length() { return this.#items.size; }
  key(index) { return [...this.#items.keys()][index] ?? null; }
  getItem(name) { return this.#items.get(String(name)) ?? null; }
  setItem(name, value) { this.#put(String(name), String(value)); }
  removeItem(name) { this.#put(String(name), null); }
  clear() { for (const name of [...this.#items.keys()]) this.#put(name, null); }
  // Takes over what another page of the sandbox wrote; returns what there was before.
  adopt(name, value) {
    const before = this.getItem(name);
    if (value === null) this.#items.delete(name);
    else this.#items.set(name, value);
    return before;
  }
  #put(name, value) {
    if (this.adopt(name, value) !== value) this.#changed(name, value);
  }
  // For pages that write `localStorage.name = value`.
  static facade(own) {
    const known = (name) => typeof name === "symbol" || name in MemoryStorage.prototype;
    return new Proxy(own, {
      get: (_, name) => {
        if (!known(name)) return own.getItem(name) ?? undefined;
        const value = Reflect.get(own, name, own);
        return typeof value === "function" ? value.bind(own) : value;
      },
      set: (_, name, value) => { own.setItem(name, value); return true; },
      has: (_, name) => known(name) || own.getItem(name) !== null,
      deleteProperty: (_, name) => { own.removeItem(name); return true; },
      ownKeys: () => Array.from({ length: own.length }, (_, index) => own.key(index)),
      getOwnPropertyDescriptor: (_, name) => own.getItem(name) === null ? undefined
        : { value: own.getItem(name), writable: true, enumerable: true, configurable: true },
    });
  }
}

// Browsers that keep third parties' storage from pages in frames throw at the mere mention of it. JupyterLab takes
// that for a name clash with another tab and reloads under a new name, for ever. A storage that forgets will do.
function supplyStorages() {
  for (const name of ["localStorage", "sessionStorage"]) {
    let usable = false;
    try { usable = Boolean(window[name]); } catch { /* that is the case this is for */ }
    if (!usable) define(window, name, MemoryStorage.facade(new MemoryStorage()));
  }
}

// Gives the page of the sandbox with this key stores and channels of its own.
function keepApart(key) {
  define(window, "sessionStorage", MemoryStorage.facade(new MemoryStorage()));
  define(window, "localStorage", MemoryStorage.facade(storageOfAllTabs(key)));
  separateChannels(key);
  replaceCookies();
  for (const name of ["indexedDB", "caches", "cookieStore"]) define(window, name, undefined);
  delete Navigator.prototype.locks;
  delete Navigator.prototype.storageBuckets;
  if (window.StorageManager) delete StorageManager.prototype.getDirectory;
  if (window.top === window) {
    // The name of a tab stays with it, whoever's page comes next.
    window.name = "";
    define(window, "name", "");
  }
}

// JupyterLab asks its other tabs which of them has a workspace open by events of the storage.
function storageOfAllTabs(key) {
  // Whoever does not know the key cannot listen: channels are not listed anywhere, and their events name no address.
  let channel = null;
  try {
    channel = new BroadcastChannel(`${key} storage`);
  } catch { /* a browser that keeps channels from the page as well */ }
  const storage = new MemoryStorage((name, value) => channel?.postMessage([name, value]));
  channel?.addEventListener("message", ({ data: [name, newValue] }) => {
    const oldValue = storage.adopt(name, newValue);
    const event = new StorageEvent("storage", { key: name, oldValue, newValue, url: location.href });
    define(event, "storageArea", window.localStorage);
    window.dispatchEvent(event);
  });
  // What happens in the store that all sandboxes share is none of this page's business.
  window.addEventListener("storage", (event) => { if (event.isTrusted) event.stopImmediatePropagation(); }, true);
  return storage;
}

function separateChannels(key) {
  define(window, "BroadcastChannel", class extends BroadcastChannel {
    #name;
    constructor(name) {
      super(`${key} page ${name}`);
      this.#name = String(name);
    }
    get name() { return this.#name; }
  });
  if (!window.SharedWorker) return;
  define(window, "SharedWorker", class extends SharedWorker {
    constructor(address, options) {
      const own = typeof options === "string" ? { name: options } : options;
      super(address, { ...own, name: `${key} ${own?.name ?? ""}` });
    }
  });
}

// No sandbox is sent a cookie, so it is enough that the page finds its own again.
function replaceCookies() {
  const jar = new Map();
  Object.defineProperty(document, "cookie", {
    configurable: true,
    get: () => [...jar].map(([name, value]) => (name ? `${name}=${value}` : value)).join("; "),
    set: (text) => {
      const [pair, ...attributes] = String(text).split(";").map((each) => each.trim());
      const [, name, value] = pair.match(/^(?:([^=]*)=)?(.*)$/s);
      const lasts = attributes.every((each) => {
        const [attribute, when] = each.split("=");
        if (/^max-age$/i.test(attribute)) return Number(when) > 0;
        return !(/^expires$/i.test(attribute) && Date.parse(when) <= Date.now());
      });
      if (lasts) jar.set(name ?? "", value);
      else jar.delete(name ?? "");
    },
  });
}

function define(owner, name, value) {
  Object.defineProperty(owner, name, { value, writable: true, configurable: true });
}
