// What the page itself still holds of the visitor's documents, whether the sandbox lives or not.

// JupyterLab from 3 on and Notebook 7 show their application to scripts if their page's configuration says so. This is
// the moment between the page's text and its scripts.
function exposeApplication() {
  document.addEventListener("readystatechange", () => {
    const config = document.getElementById("jupyter-config-data");
    if (document.readyState !== "interactive" || !config) return;
    try {
      config.textContent = JSON.stringify({ ...JSON.parse(config.textContent), exposeAppInBrowser: true });
    } catch { /* another program's */ }
  });
}

// The open documents as {path, text, notebook}, the one in front first.
function openDocuments() {
  try {
    return [...labDocuments(), ...classicNotebook()];
  } catch {
    return []; // a version that keeps them elsewhere
  }
}

function labDocuments() {
  const shell = window.jupyterapp?.shell;
  if (!shell) return [];
  const widgets = new Set([shell.currentWidget, ...shell.widgets("main")]);
  const documents = new Map();
  for (const context of [...widgets].map((each) => each?.context)) {
    // What has not been loaded yet would be saved empty, and what is not text is not edited here.
    if (!context?.isReady || context.contentsModel?.format === "base64") continue;
    const path = context.localPath ?? context.path;
    const notebook = context.contentsModel?.type === "notebook";
    const text = notebook ? `${JSON.stringify(context.model.toJSON(), null, 1)}\n` : context.model.toString();
    if (!documents.has(path)) documents.set(path, { path, text, notebook });
  }
  return [...documents.values()];
}

function classicNotebook() {
  const held = window.Jupyter?.notebook;
  if (!held?.toJSON) return [];
  return [{ path: held.notebook_path, text: `${JSON.stringify(held.toJSON(), null, 1)}\n`, notebook: true }];
}

function saveDocument({ path, text }) {
  download(path.split("/").at(-1), new Blob([text], { type: "application/octet-stream" }));
}
