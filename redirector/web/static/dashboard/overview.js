// Totals, alarms, the waiting room, charts.

import { by, draw, make, minute, say, span } from "./dom.js";

export function drawTotals(fleet) {
  const silent = fleet.not_counted.claimed;
  by("claimed").replaceChildren(String(fleet.claimed), ...(silent ? [make("small", { title: "when last heard of" }, ` +${silent} on silent nodes`)] : []));
  by("available").replaceChildren(String(fleet.available), make("small", {}, ` of ${fleet.capacity}`));
  say(by("coming"), String(fleet.starting));
  say(by("waiting"), String(fleet.waiting));
  const counts = Object.entries(fleet.nodes).map(([state, count]) => `${count} ${state}`).join(", ");
  say(by("counts"), counts || "none yet");
  const before = [...by("alarms").children].map((line) => line.textContent);
  if (before.join("\n") !== fleet.alarms.join("\n")) by("alarms").replaceChildren(...fleet.alarms.map((text) => make("p", {}, text)));
  document.title = `${fleet.alarms.length ? "! " : ""}${fleet.available} free, ${fleet.claimed} visitors`;
}

export function drawRoom(lines) {
  const busy = Object.entries(lines).filter(([, line]) => line.waiting);
  by("room").hidden = !busy.length;
  by("room").querySelector("ul").replaceChildren(...busy.map(([pool, line]) => make("li", { "data-pool": pool },
    make("b", {}, pool),
    make("span", {}, `${line.waiting} waiting`),
    make("span", {}, line.first_seconds === null ? "" : `the first for ${span(line.first_seconds)}`),
    make("span", {}, `${line.let_in} let in within 5 min`),
    make("span", {}, line.expected_seconds === null ? "" : `who comes now waits about ${span(line.expected_seconds)}`),
  )));
}

export function drawCharts(series, now) {
  const top = Math.max(1, ...Object.values(series).flat());
  for (const figure of document.querySelectorAll("figure")) {
    const values = series[figure.dataset.chart];
    if (figure.dataset.values === `${top}:${values}`) continue;
    figure.dataset.values = `${top}:${values}`;
    const sum = values.reduce((all, one) => all + one, 0);
    say(figure.querySelector("b"), `${sum} / h`);
    const svg = draw("svg", { viewBox: `0 0 ${values.length} 30`, preserveAspectRatio: "none", role: "img", "aria-label": `${sum} in the last hour, at most ${Math.max(...values)} a minute` });
    values.forEach((value, place) => {
      if (!value) return;
      const height = Math.max(1.2, 30 * value / top);
      const bar = draw("rect", { x: place + .1, y: 30 - height, width: .8, height });
      const title = draw("title", {});
      title.textContent = `${minute(now - (values.length - 1 - place) * 60)}: ${value}`;
      bar.append(title);
      svg.append(bar);
    });
    figure.querySelector("svg")?.remove();
    figure.append(svg);
  }
}
