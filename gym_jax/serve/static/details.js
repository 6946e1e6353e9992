// All about the run that was chosen, with the ways that lead from it.

import { linkOf, remaining, state } from "./state.js";
import { clock, el, epochs, number, patience, whole } from "./words.js";

function scores(run) {
  if (!run.scores) return [];
  const { columns, rows, target, part, verdict } = run.scores;
  const cells = (row) => [el("th", { scope: "row" }, row[0]), ...row.slice(1).map((value) => el("td", {}, number(value)))];
  return [
    el("div", { class: "scroll", tabindex: 0, "aria-label": "Scores" }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, `${target}, ${part}`), ...columns.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...cells(row)))))),
    el("p", {}, verdict),
  ];
}

function facts(run) {
  const place = [run.placement, run.devices > 1 ? `${run.devices} devices` : null, run.compile].filter(Boolean);
  const left = run.status === "running" ? clock(remaining(run)) : "–";
  const again = run.status === "stopped" || run.status === "failed";
  return [
    ["Status", run.reason ? `${run.status}: ${run.reason}` : run.status + (run.stopped_early ? ", stopped early" : ""), run.reason ? "wide" : ""],
    ["Epoch", epochs(run)], ["Optimiser steps", whole(run.step)], ["Time left", run.ends === null ? left : `${left} if it does not stop early`],
    ["Best epoch", run.best ? `${run.best.epoch}, val loss ${number(run.best.val_loss, 5)}` : "–"],
    ["Early stop after", run.patience === null ? "never" : run.seeds > 1 ? `${run.patience} epochs without a better one, each seed by itself` : run.patience_left === null ? `${run.patience} epochs without a better one` : `${patience(run)} more without a better one`],
    ["Windows/s", whole(run.windows_per_second)], ["Model, loss", `${run.model ?? "–"}, ${run.loss_kind ?? "–"}`],
    ["Where", place.join(", ") || "–"], ["Data", run.data], ["Began", run.began ? run.began.slice(0, 19).replace("T", " ") + " UTC" : "–"],
    ["Folder", run.folder, "wide"],
    ...(again ? [["Go on with", el("code", {}, `gymjax train --resume '${run.folder.replaceAll("'", "'\\''")}'`), "wide"]] : []),
    ...(run.chunked ? [] : [["Within an epoch", "only with track.log_level=debug"]]),
  ];
}

export function tellDetails() {
  const run = state.runs.get(state.selected);
  document.getElementById("details").hidden = !run;
  if (!run) return;
  document.getElementById("title-details").textContent = run.id;
  const members = [...state.runs.values()].filter((one) => one.group === run.id);
  const parent = run.parent && [...state.runs.values()].find((one) => one.folder === run.parent || one.id === run.parent);
  const links = [
    ...(state.runs.has(run.group) ? [[`group ${run.group}`, linkOf(run.group)]] : []),
    ...(parent ? [[`parent ${parent.id}`, linkOf(parent.id)]] : []),
    ...members.map((one) => [`seed ${one.seed}`, linkOf(one.id)]),
    ["ask for forecasts", linkOf(run.id, "inference")],
  ];
  const focused = document.activeElement?.closest("#links") ? document.activeElement.getAttribute("href") : null;
  const nodes = links.map(([text, href]) => el("a", { href }, text));
  const line = document.getElementById("links");
  if ([...line.children].map((one) => one.href + one.textContent).join() !== nodes.map((one) => one.href + one.textContent).join()) {
    line.replaceChildren(...nodes);
    nodes.find((one) => one.getAttribute("href") === focused)?.focus();
  }
  document.getElementById("facts").replaceChildren(
    ...facts(run).map(([name, value, kind]) => el("div", { class: kind || null }, el("dt", {}, name), el("dd", {}, value ?? "–"))),
  );
  document.getElementById("scores").replaceChildren(...scores(run));
}
