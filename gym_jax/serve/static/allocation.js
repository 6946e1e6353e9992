// What the plain rule would give the workload for the window that is forecast, and how that would have done.

import { el, number, say } from "./words.js";

const HEAD = ["Rule", "Allocation", "Used more", "Spare on average"];

export function tellAllocation(answer, told) {
  document.getElementById("allocation").hidden = false;
  const { allocation } = answer;
  const table = document.getElementById("allocation-table");
  table.hidden = !allocation.length;
  if (!allocation.length) {
    say(document.getElementById("allocation-said"), "This run forecasts a point and no interval, so it names no allocation.");
    const way = [el("code", {}, told.hint), " fits intervals around it; ", el("code", {}, "loss=quantiles"), " trains them."];
    document.getElementById("allocation-hint").replaceChildren("", ...way);
    return;
  }
  const [first] = allocation;
  const did = first.value === null ? "Nothing was observed in the look-back, so there is no forecast."
    : first.observed === 0 ? "Nothing of the window has come yet."
      : first.violated ? `More was used in ${first.violated} of ${first.observed} observed steps.`
        : `It would have held in all ${first.observed} observed steps.`;
  say(document.getElementById("allocation-said"), `Give ${number(first.value)}, the ${first.rule}. ${did}`);
  const rows = allocation.map((one) => el("tr", {},
    el("th", { scope: "row" }, one.rule), el("td", { "data-value": one.value }, number(one.value)),
    el("td", {}, one.violated !== null ? `${one.violated} of ${one.observed} steps` : "–"), el("td", {}, number(one.spare))));
  table.replaceChildren(
    el("thead", {}, el("tr", {}, ...HEAD.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...rows),
  );
  const source = told.bands === "quantiles" ? "the quantiles the run was trained for" : `its intervals, ${told.bands}`;
  document.getElementById("allocation-hint").replaceChildren(
    `A plain rule from ${source}, not a learned policy. `, el("code", {}, "gymjax allocate simulate"), " compares policies on your own history; ",
    el("code", {}, "gymjax allocate train"), " learns one.",
  );
}
