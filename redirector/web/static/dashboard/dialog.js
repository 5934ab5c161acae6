// The one dialog: asks, sends, and shows what became of it.

import { by, make, say } from "./dom.js";

// Refusals that an operator may insist against, each with the word that does it. One of them overrides no other kind.
const INSISTENCE = { last_node: "force", too_little_free: "force", has_sessions: "force", already_member: "agreed" };
const STEP_PAUSE = 2000;

const root = document.body.dataset.root;
let insisted = {};
const csrf = document.querySelector("meta[name=csrf]").content;

export async function send(path, body) {
  const answer = await fetch(`${root}/${path}`, {
    method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify(body),
  });
  if (answer.status === 401) location.reload();
  return { ok: answer.ok, said: await answer.json() };
}

// Opens the dialog. `spec` is {heading, what, button, fields, pools, reason, steps, path, body, told, after, instead}; the last
// is another act on the same thing that needs none of the fields, {button, body, told}.
export function ask(spec) {
  const dialog = by("ask"), form = dialog.querySelector("form"), part = (selector) => dialog.querySelector(selector);
  form.reset();
  say(part("h2"), spec.heading);
  say(part(".what"), spec.what);
  say(part(".primary"), spec.button);
  part(".fields").replaceChildren(...(spec.fields ?? []).map((field) => labelled(field, spec.pools ?? [])));
  part(".reason").hidden = spec.reason === false;
  part(".force").hidden = true;
  insisted = {};
  part(".trouble").hidden = true;
  part(".steps").replaceChildren();
  part(".primary").hidden = false;
  say(part(".buttons .plain"), "Cancel");
  const other = part(".instead");
  other.hidden = !spec.instead;
  say(other, spec.instead?.button ?? "");
  other.onclick = () => act({ ...spec, ...spec.instead }, dialog, {});
  part(".buttons .plain").onclick = () => dialog.close();
  form.onsubmit = (event) => {
    event.preventDefault();
    const filled = [...new FormData(form)].filter(([name, value]) => name !== "insist" && value !== "");
    act(spec, dialog, Object.fromEntries(filled));
  };
  // What somebody agreed to was this address, this image.
  form.oninput = (event) => { if (event.target.name !== "insist") insisted = {}; };
  dialog.showModal();
  part(".fields input, .fields select")?.focus();
}

function labelled(field, pools) {
  const options = field.pools ? pools.map((name) => [name, name]) : field.options;
  const input = options ? make("select", { name: field.name }, ...options.map(([value, text]) => make("option", { value }, text)))
    : make("input", { name: field.name, type: field.type ?? "text", maxlength: field.limit ?? 2000, autocomplete: "off", spellcheck: "false" });
  if (field.required) input.required = true;
  if (field.value) input.value = field.value;
  return make("label", {}, field.label, field.hint ? make("span", { class: "quiet" }, ` ${field.hint}`) : "", input);
}

async function act(spec, dialog, filled) {
  const trouble = dialog.querySelector(".trouble"), buttons = dialog.querySelectorAll(".primary, .instead");
  const insist = dialog.querySelector(".force input");
  if (insist.checked) insisted[insist.value] = true;
  const body = { ...spec.body, ...filled, ...insisted };
  if (spec.numbers) for (const name of spec.numbers) if (body[name]) body[name] = Number(body[name]);
  for (const button of buttons) button.disabled = true;
  trouble.hidden = true;
  try {
    if (spec.steps) await goOn(spec, dialog, body);
    else {
      const { ok, said } = await send(spec.path, body);
      if (!ok) return refused(dialog, said);
      const words = spec.told?.(said);
      if (!words) dialog.close();
      else finish(dialog, words);
    }
  } catch {
    say(trouble, "No answer came: it may have been done or not. Look at the card before trying again.");
    trouble.hidden = false;
  } finally {
    for (const button of buttons) button.disabled = false;
    spec.after?.();
  }
}

// What takes minutes: a step a request, until it is done, fails, or somebody closes the dialog.
async function goOn(spec, dialog, body) {
  let tested = false, last = "";
  while (dialog.open) {
    const { ok, said } = await send(spec.path, { ...body, tested });
    if (!ok) return refused(dialog, said);
    tested = said.tested;
    if (said.message !== last) {
      const same = last && said.message.split(":")[0] === last.split(":")[0];
      const line = make("li", {}, said.message);
      if (same) dialog.querySelector(".steps").lastChild.replaceWith(line);
      else dialog.querySelector(".steps").append(line);
      last = said.message;
    }
    spec.after?.();
    if (said.done) return finish(dialog, "");
    await new Promise((resolve) => { setTimeout(resolve, STEP_PAUSE); });
  }
}

function finish(dialog, words) {
  if (words) dialog.querySelector(".steps").append(make("li", {}, words));
  for (const button of dialog.querySelectorAll(".primary, .instead")) button.hidden = true;
  say(dialog.querySelector(".buttons .plain"), "Close");
}

function refused(dialog, said) {
  const trouble = dialog.querySelector(".trouble");
  say(trouble, said.message);
  trouble.hidden = false;
  const insist = dialog.querySelector(".force input");
  insist.value = INSISTENCE[said.status] ?? "";
  insist.checked = false;
  dialog.querySelector(".force").hidden = !insist.value;
}
