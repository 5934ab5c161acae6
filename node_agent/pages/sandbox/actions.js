// What the notices offer, in this order. An action says which notices it is `on`, what it is called at the moment (nothing
// where it makes no sense), and either where its link leads or what it does. What it returns, or tells `report` on the way,
// is read out in the notice.
function makeActions(base, entry, { keep, dismiss }) {
  const front = () => openDocuments()[0];
  return [
    {
      on: ["warning"],
      label: ({ reason }) => (reason === "idle" ? "Keep it" : ""),
      run: keep,
    },
    {
      on: ["warning", "gone", "about"],
      label: () => front() && (front().notebook ? "Save this notebook to your computer" : "Save this file to your computer"),
      run: () => saveDocument(front()),
    },
    {
      // Of what is in other tabs the page holds the last copy.
      on: ["gone"],
      label: () => openDocuments().length > 1 && `Save all ${openDocuments().length} open files`,
      run: () => {
        const documents = openDocuments().map(({ path, text }) => [path, new TextEncoder().encode(text)]);
        download("notebooks.zip", zip(new Map(documents)));
      },
    },
    {
      on: ["warning", "about"],
      label: () => isJupyter() && "Download everything",
      run: (report) => downloadHome(base, report),
    },
    {
      on: ["gone"],
      label: () => "Open a fresh one",
      href: () => `${entry}/fresh${location.pathname.slice(base.length) || "/"}${location.search}`,
    },
    {
      on: ["warning", "gone", "about", "message"],
      label: () => "Dismiss",
      run: dismiss,
    },
  ];
}
