// Everything above is only defined; this runs it, before any other script of the page.
const own = document.currentScript.dataset;
const [, base, key] = location.pathname.match(/^(\/user\/([a-z2-7]{34}))(?:\/|$)/) ?? [];

// Where every sandbox has an origin of its own, browsers keep it apart by themselves.
if (key && own.origin === "node") keepApart(key);
else supplyStorages();

if (key) {
  const reportNow = reportPresence(key);
  exposeApplication();
  if (!withinOwnPage()) {
    document.addEventListener("DOMContentLoaded", markTab);
    followTime(base, key, own.entry, reportNow);
  }
}

// A page inside a page of the same sandbox: the outer one does the talking.
function withinOwnPage() {
  try {
    return window.parent !== window && window.parent.location.pathname.startsWith(`${base}/`);
  } catch {
    return false; // the frame of another site: then this is the outer one
  }
}
