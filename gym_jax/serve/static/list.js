// The runs beside the pictures: which are drawn, how they stand, which one is looked at.

import { linkOf, remaining, state } from "./state.js";
import { clock, el, epochs, number, patience, say, whole } from "./words.js";

const NEWEST = 8;
const cards = new Map();
let drawn = () => {};

export function chooseNewest() {
  const alone = [...state.runs.values()].filter((run) => !state.runs.has(run.group));
  const first = alone.slice(0, NEWEST).map((run) => run.id);
  const only = alone.length === 1 ? [...state.runs.values()].slice(0, NEWEST).map((run) => run.id) : first;
  state.shown = new Set(only);
}

function card(run) {
  const parts = {
    box: el("input", { type: "checkbox", onchange: (event) => show(run.id, event.target.checked) }),
    link: el("a"), status: el("span"), what: el("p", { class: "what" }),
    bar: el("progress", { class: "bar", max: 1 }),
  };
  const node = el("li", { class: "run" }, parts.box, parts.link, parts.status, parts.what, parts.bar);
  cards.set(run.id, { node, ...parts });
  return cards.get(run.id);
}

function show(id, on) {
  if (on) state.shown.add(id);
  else state.shown.delete(id);
  drawn();
}

function line(run) {
  const left = remaining(run);
  const words = [`epoch ${epochs(run)}`];
  if (run.status === "running" && left !== null) words.push(`${clock(left)} left`);
  if (run.val_loss !== null) words.push(`val ${number(run.val_loss)}`);
  else if (run.loss !== null) words.push(`loss ${number(run.loss)}`);
  return words.join(" · ");
}

export function listRuns() {
  const list = document.getElementById("runs");
  const wanted = document.getElementById("filter").value.trim().toLowerCase();
  for (const [id, { node }] of cards) if (!state.runs.has(id)) [node.remove(), cards.delete(id)];
  let before = null;
  for (const run of state.runs.values()) {
    const parts = cards.get(run.id) ?? card(run);
    const { node, box, link, status, what, bar } = parts;
    const name = run.group && state.runs.has(run.group) ? `seed ${run.seed}` : run.id;
    const colour = state.colours.get(run.id) % 8;
    node.className = `run s${colour}${run.group ? " member" : ""}${run.id === state.selected ? " selected" : ""}`;
    node.hidden = Boolean(wanted) && ![run.id, run.model ?? "", run.status].some((word) => word.toLowerCase().includes(wanted));
    box.checked = state.shown.has(run.id);
    box.setAttribute("aria-label", `Draw ${run.id}`);
    say(link, name);
    link.title = run.id;
    link.href = linkOf(run.id);
    if (run.id === state.selected) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    status.className = `status ${run.status}`;
    say(status, run.status);
    say(what, line(run));
    bar.value = run.epochs ? Math.min(1, (run.at ?? 0) / run.epochs) : 0;
    bar.setAttribute("aria-label", `Epochs of ${run.id}`);
    const place = before ? before.nextSibling : list.firstChild;
    if (place !== node) list.insertBefore(node, place); // a card that stays in place keeps the focus
    before = node;
  }
  const none = document.getElementById("no-runs");
  none.hidden = state.runs.size > 0 && !state.left;
  say(none, state.runs.size ? `and ${state.left} older runs` : "No runs yet. Start one with gymjax train; it appears here by itself.");
}

export function listValues() {
  const body = document.querySelector("#values tbody");
  const rows = [...state.runs.values()].filter((run) => state.shown.has(run.id)).map((run) => {
    const cells = [
      ["status", run.status, run.status], ["epoch", run.epoch, epochs(run)], ["loss", run.loss, number(run.loss, 6)], ["val_loss", run.val_loss, number(run.val_loss, 6)],
      ["best", run.best?.val_loss, run.best ? `${number(run.best.val_loss, 6)} at ${run.best.epoch}` : "–"], ["lr", run.lr, number(run.lr)],
      ["grad_norm", run.grad_norm, number(run.grad_norm)], ["windows_per_second", run.windows_per_second, whole(run.windows_per_second)],
      ["patience_left", run.patience_left, patience(run)], ["left", null, clock(remaining(run))],
    ];
    const head = el("th", { scope: "row", class: `s${state.colours.get(run.id) % 8}` }, el("span", { class: "swatch" }), run.id);
    return el("tr", { "data-run": run.id }, head, ...cells.map(([name, value, text]) => el("td", { "data-name": name, "data-value": value ?? "" }, text)));
  });
  body.replaceChildren(...rows);
}

// `changed` is called when other runs are to be drawn.
export function beginList(changed) {
  drawn = changed;
  document.getElementById("filter").addEventListener("input", listRuns);
  const choose = (name, make) => document.getElementById(name).addEventListener("click", () => [make(), drawn()]);
  choose("show-newest", chooseNewest);
  choose("show-none", () => state.shown.clear());
  choose("show-all", () => [...cards].forEach(([id, { node }]) => node.hidden || state.shown.add(id)));
}
