// Puts the page together: what was heard becomes what is seen, at most once a frame.

import { begin as beginCurves, drawCurves, forget, look } from "./curves.js";
import { tellDetails } from "./details.js";
import { askFor, beginInference, drawInference, forgetInference, tellRuns } from "./inference.js";
import { beginList, chooseNewest, listRuns, listValues } from "./list.js";
import { beginMachine, drawMachine, forgetMachine, tellMachine } from "./machine.js";
import { append, linkOf, listen, loadCurves, loadRuns, pointsFor, state } from "./state.js";
import { say } from "./words.js";

const TABS = ["curves", "inference"];
const stale = new Set(); // runs whose curves are to be asked for
let tab = "curves";
let planned = false;
let asking = false;
let known = false;

function plan() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    listRuns();
    tellMachine();
    if (tab === "curves") [drawCurves(), drawMachine(), listValues(), tellDetails()];
    else tellRuns();
  });
}

async function fetchStale() {
  if (asking) return;
  asking = true;
  try {
    while (stale.size) {
      const ids = [...stale].filter((id) => state.runs.has(id) && state.shown.has(id));
      stale.clear();
      if (!ids.length) break;
      await loadCurves(ids, pointsFor(document.getElementById("chart-loss").clientWidth || 800, state.shown.size));
      plan();
    }
  } catch (error) {
    if (error.status === 404) setTimeout(refresh, 500); // one of them has just gone
  } finally {
    asking = false;
  }
}

function need(ids) {
  for (const id of ids) stale.add(id);
  fetchStale();
}

function chosen() {
  need([...state.shown].filter((id) => !state.curves.has(id)));
  plan();
}

async function refresh() {
  try {
    await loadRuns();
  } catch {
    return; // the line is down; it is taken up again
  }
  if (!known) chooseNewest();
  known = true;
  say(document.getElementById("root"), state.root);
  document.title = `${state.root.split("/").at(-1)} – gymjax monitor`;
  read();
  need(state.shown);
  plan();
}

function heard(name, facts, fresh) {
  if (name === "hello") return void refresh();
  if (!known) return;
  if (name === "rows" && append(facts)) need([facts.id]);
  if (fresh) {
    if (facts.status === "running" && !facts.group) state.shown.add(facts.id);
    refresh(); // the list has an order
  }
  plan();
}

function changed(line) {
  const node = document.getElementById("connection");
  node.dataset.state = line;
  say(node, line === "live" ? "live" : "disconnected, trying again");
}

function choose(name, focus) {
  tab = name;
  for (const one of TABS) {
    const button = document.getElementById(`tab-${one}`);
    button.setAttribute("aria-selected", String(one === name));
    button.tabIndex = one === name ? 0 : -1;
    document.getElementById(`panel-${one}`).hidden = one !== name;
    if (one === name && focus) button.focus();
  }
  if (name === "inference") askFor(state.selected);
  plan();
}

function read() {
  const words = new URLSearchParams(location.hash.slice(1));
  const run = words.get("run");
  state.selected = state.runs.has(run) ? run : (state.runs.has(state.selected) ? state.selected : (state.runs.keys().next().value ?? null));
  if (run === state.selected && run && !state.shown.has(run)) [state.shown.add(run), chosen()];
  const wanted = TABS.includes(words.get("tab")) ? words.get("tab") : "curves";
  if (wanted !== tab || wanted === "inference") choose(wanted);
  plan();
}

function beginTabs() {
  for (const [place, name] of TABS.entries()) {
    const button = document.getElementById(`tab-${name}`);
    const go = (to) => [(location.hash = linkOf(state.selected, to)), choose(to, true)];
    button.addEventListener("click", () => go(name));
    button.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by) go(TABS[(place + by + TABS.length) % TABS.length]);
    });
  }
}

beginTabs();
beginList(chosen);
beginMachine();
beginInference();
let pause = 0;
beginCurves(() => {
  clearTimeout(pause);
  pause = setTimeout(() => need(state.shown), 150); // the part in view, in full
});
document.getElementById("reset").addEventListener("click", () => look(null));
document.getElementById("log").addEventListener("click", (event) => {
  state.log = !state.log;
  event.currentTarget.setAttribute("aria-pressed", String(state.log));
  plan();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  [forget(), forgetMachine(), forgetInference(), plan()];
  drawInference();
});
window.addEventListener("hashchange", read);
setInterval(() => [...state.runs.values()].some((run) => run.ends !== null) && plan(), 1000);
listen(heard, changed);
