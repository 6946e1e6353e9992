// Forecasts of a run from any origin: chosen by slider, by mouse on the picture, or by keyboard.

import { drawForecast, forgetForecast, beginForecast } from "./forecast.js";
import { tellAllocation } from "./allocation.js";
import { get, linkOf, state } from "./state.js";
import { el, moment, say } from "./words.js";

const PARTS = {
  train: "train part: the model was trained on these steps", val: "val part: early stopping has seen these steps",
  test: "test part: held out", future: "the future: nothing of it has come yet", none: "between the parts",
};
const asked = { run: null, told: null, series: null, origin: 0, target: 0, answer: null, loaded: null };
let busy = false;
let again = false;

const node = (id) => document.getElementById(id);

function hint(text, wrong = false) {
  say(node("ask-state"), text);
  node("ask-state").classList.toggle("wrong", wrong);
}

function why(error) {
  return [error.message, error.hint, error.try ? `try: ${error.try}` : ""].filter(Boolean).join(" – ");
}

export function tellRuns() {
  const choices = [...state.runs.keys()];
  const select = node("ask-run");
  if ([...select.options].map((one) => one.value).join("\n") !== choices.join("\n")) {
    select.replaceChildren(...choices.map((id) => el("option", { value: id }, id)));
  }
  select.value = asked.run ?? state.selected ?? "";
  const now = state.runs.get(asked.run);
  node("ask-fresh").hidden = !asked.told || !now || now.updated === asked.loaded;
}

// Loads a run, unless it is the one that is loaded.
export async function askFor(id, fresh = false) {
  tellRuns();
  if (!id) return hint("No run to ask yet.");
  if (id === asked.run && !fresh) return drawInference();
  Object.assign(asked, { run: id, told: null, answer: null, loaded: state.runs.get(id)?.updated ?? null });
  [node("asked").hidden, node("allocation").hidden, node("ask-series").disabled] = [true, true, true];
  tellRuns();
  hint("Loading the run: JAX, its data and its weights. The curves go on meanwhile.");
  try {
    const told = await get(`api/series?${new URLSearchParams({ run: id, ...(fresh ? { fresh: 1 } : {}) })}`);
    if (asked.run !== id) return; // another was chosen meanwhile
    offer(told);
  } catch (error) {
    if (asked.run !== id) return;
    asked.run = null;
    hint(why(error), true);
  }
}

function offer(told) {
  asked.told = told;
  const select = node("ask-series");
  select.replaceChildren(...told.series.map((one) => el("option", { value: one.name }, one.name)));
  select.disabled = false;
  node("ask-target").replaceChildren(...told.targets.map((name, place) => el("option", { value: place }, name)));
  node("ask-target-label").hidden = told.targets.length < 2;
  asked.target = 0;
  const steps = Object.values(told.steps);
  const weights = told.seeds.length ? `the mean of ${told.seeds.length} seeds` : `the weights of step ${steps[0]}`;
  const more = told.series_count > told.series.length ? ` of the first ${told.series.length} of ${told.series_count} series` : "";
  hint([`${told.context} steps of ${told.interval} back, ${told.horizon} ahead${more}; ${weights}`, ...told.notes].join(". "));
  choose(told.series.some((one) => one.name === asked.series) ? asked.series : told.series[0].name);
}

function choose(name) {
  const one = asked.told.series.find((other) => other.name === name);
  asked.series = name;
  node("ask-series").value = name;
  const slider = node("origin");
  [slider.min, slider.max] = [one.first, one.last];
  node("asked").hidden = false;
  to(one.last);
}

function to(origin) {
  const slider = node("origin");
  asked.origin = Math.max(Number(slider.min), Math.min(Number(slider.max), Math.round(origin)));
  slider.value = asked.origin;
  ask();
}

// One question at a time; of those that come meanwhile the last one counts.
async function ask() {
  if (busy) return void (again = true);
  busy = true;
  try {
    do {
      again = false;
      const { run, series, origin, target } = asked;
      const answer = await get(`api/forecast?${new URLSearchParams({ run, series, origin, target })}`);
      if (run === asked.run && series === asked.series) asked.answer = answer;
      drawInference();
    } while (again);
  } catch (error) {
    hint(why(error), true);
  } finally {
    busy = false;
  }
}

function when(seconds, step) {
  return step === null ? `row ${seconds}` : moment(seconds);
}

export function drawInference() {
  const { answer, told } = asked;
  if (!answer || node("panel-inference").hidden) return;
  const last = when(answer.time + (answer.step ?? 1) * (told.horizon - 1), answer.step);
  const window_ = `${when(answer.time, answer.step)} to ${last}`;
  node("origin").setAttribute("aria-valuetext", `${when(answer.time, answer.step)}, ${answer.part} part`);
  say(node("origin-text"), `Window ${window_} · ${PARTS[answer.part]}`);
  node("band-key").hidden = !answer.bands.length;
  say(node("band-name"), `bands of ${answer.bands.map((one) => one.name).join(", ")}`);
  drawForecast(answer, told);
  tellAllocation(answer, told);
}

export function forgetInference() {
  forgetForecast();
}

export function beginInference() {
  node("asking").addEventListener("submit", (event) => event.preventDefault());
  node("ask-run").addEventListener("change", (event) => (location.hash = linkOf(event.target.value, "inference")));
  node("ask-series").addEventListener("change", (event) => choose(event.target.value));
  node("ask-target").addEventListener("change", (event) => [(asked.target = Number(event.target.value)), ask()]);
  node("ask-fresh").addEventListener("click", () => askFor(asked.run, true));
  node("origin").addEventListener("input", (event) => to(Number(event.target.value)));
  node("earlier").addEventListener("click", () => to(asked.origin - 1));
  node("later").addEventListener("click", () => to(asked.origin + 1));
  node("newest").addEventListener("click", () => to(Number(node("origin").max)));
  const picture = node("chart-forecast");
  picture.addEventListener("keydown", (event) => {
    const by = event.shiftKey ? (asked.told?.horizon ?? 1) : 1;
    const origin = { ArrowLeft: asked.origin - by, ArrowRight: asked.origin + by, Home: Number(node("origin").min), End: Number(node("origin").max) }[event.key];
    if (origin === undefined) return;
    event.preventDefault();
    to(origin);
  });
  beginForecast(picture, to);
}
