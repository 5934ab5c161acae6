// Everything in the sandbox's home, by the API that every Jupyter server has, as it is in the page where it is open there.

const MOST_FILES = 2000;
const MOST_BYTES = 300_000_000; // A page that holds more may be ended by the browser.
const MOST_DIRECTORIES = 500;

function isJupyter() {
  return Boolean(document.getElementById("jupyter-config-data"));
}

// Saves the home as one archive. Tells by `report` how far it is; returns what became of it, in a sentence.
async function downloadHome(base, report) {
  report("Looking for your files …");
  const { paths, leftOut } = await listHome(base);
  const files = new Map();
  let bytes = 0;
  for (const { path, size } of paths) {
    report(`Packing ${files.size + 1} of ${paths.length} files …`);
    const content = files.size < MOST_FILES && bytes + size <= MOST_BYTES ? await readFile(base, path) : null;
    if (content && bytes + content.length <= MOST_BYTES) {
      bytes += content.length;
      files.set(path, content);
    } else leftOut.push(path);
  }
  for (const { path, text } of openDocuments()) files.set(path, new TextEncoder().encode(text));
  if (!files.size) return "There are no files here.";
  download("notebooks.zip", zip(files));
  const packed = `${files.size} file${files.size === 1 ? "" : "s"} packed into notebooks.zip.`;
  return leftOut.length ? `${packed} Left out, too many, too large or unreadable: ${named(leftOut)}.` : packed;
}

async function listHome(base) {
  const paths = [];
  const leftOut = [];
  const directories = [""];
  for (let done = 0; done < directories.length; done++) {
    const directory = directories[done];
    const answer = done < MOST_DIRECTORIES && await fetch(`${base}/api/contents/${escaped(directory)}?type=directory`);
    if (!done && !answer?.ok) throw new Error("no list of files");
    if (!answer?.ok) {
      leftOut.push(`${directory}/`);
      continue;
    }
    for (const { path, type, size } of (await answer.json()).content) {
      if (type === "directory") directories.push(path);
      else paths.push({ path, size: size ?? 0 });
    }
  }
  return { paths, leftOut };
}

async function readFile(base, path) {
  const answer = await fetch(`${base}/files/${escaped(path)}`, { cache: "no-store" });
  return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : null;
}

function escaped(path) {
  return path.split("/").map(encodeURIComponent).join("/");
}

function named(paths) {
  return paths.length > 3 ? `${paths.slice(0, 3).join(", ")} and ${paths.length - 3} more` : paths.join(", ");
}
