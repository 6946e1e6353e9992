// What the page knows: runs, their curves, and the line to the server, which it takes up again by itself.

export const state = {
  runs: new Map(), // by id, in the order of the list
  curves: new Map(), // by id: { metrics, speed, chunks }, each { cut, rows, curves: { name: { x, y } } }
  shown: new Set(),
  colours: new Map(),
  selected: null,
  system: [],
  view: null, // epochs in view, null: all
  log: false,
  skew: 0, // seconds that this clock is behind the server's
  root: "",
};

const COLUMNS = {
  metrics: ["epoch", "step", "lr", "loss", "grad_norm", "val_loss"],
  speed: ["epoch", "step", "seconds", "windows_per_second", "time"],
  chunks: ["at", "step", "loss", "lr", "windows_per_second", "time"],
};
const TOGETHER = 20; // runs whose curves are asked for at once
const TAIL = 1500; // rows appended to thinned curves before they are thinned anew
const SILENCE = 15; // seconds without a word after which the line counts as lost
const SAMPLES = 900;

export async function get(path, options = {}) {
  const answer = await fetch(path, options);
  if (answer.status === 401) location.reload();
  if (answer.headers.get("content-type")?.startsWith("application/json")) {
    const document = await answer.json();
    if (document.error) throw Object.assign(new Error(document.error.message), document.error);
    return document;
  }
  throw Object.assign(new Error((await answer.text()).trim() || `status ${answer.status}`), { status: answer.status });
}

export function remaining(run) {
  return run.ends === null ? null : Math.max(0, run.ends - (Date.now() / 1000 + state.skew));
}

export function linkOf(id, tab) {
  const words = new URLSearchParams({ ...(tab && tab !== "curves" ? { tab } : {}), ...(id ? { run: id } : {}) });
  return `#${words}`;
}

function paint(id) {
  if (!state.colours.has(id)) state.colours.set(id, state.colours.size);
}

function keep(run) {
  state.runs.set(run.id, run);
  paint(run.id);
}

export async function loadRuns() {
  const found = await get("api/runs");
  state.root = found.root;
  state.left = found.left_out;
  state.system = found.system;
  if (found.system.length) state.skew = found.system.at(-1).time - Date.now() / 1000;
  state.runs.clear();
  const oldest = [...found.runs].reverse(); // so that a new run takes the next colour; members come behind
  for (const run of [...oldest.filter((one) => !one.group), ...oldest]) paint(run.id);
  found.runs.forEach(keep);
  for (const id of [...state.curves.keys()]) if (!state.runs.has(id)) state.curves.delete(id);
}

export function pointsFor(width, runs) {
  const sharp = Math.min(2, window.devicePixelRatio || 1);
  return Math.round(Math.max(200, Math.min(width * sharp, 20000 / Math.max(1, runs))));
}

export async function loadCurves(ids, points) {
  for (let begin = 0; begin < ids.length; begin += TOGETHER) {
    const words = new URLSearchParams({ points });
    if (state.view) [words.append("from", state.view[0]), words.append("to", state.view[1])];
    ids.slice(begin, begin + TOGETHER).forEach((id) => words.append("run", id));
    const found = await get(`api/curves?${words}`);
    for (const run of found.runs) state.curves.set(run.id, { ...run, appended: 0 });
  }
}

// Returns whether the curves of the run must be asked for anew.
export function append({ id, table, cut, from, rows }) {
  const curves = state.curves.get(id);
  if (!curves) return false; // not drawn
  const own = curves[table];
  if (own.cut !== cut) return true;
  const begin = own.rows - from; // rows that came with the curves already
  if (begin < 0) return true;
  const fresh = rows.slice(begin);
  const columns = COLUMNS[table];
  for (const [name, line] of Object.entries(own.curves)) {
    const place = columns.indexOf(name);
    for (const row of fresh) [line.x.push(row[0]), line.y.push(row[place])];
  }
  own.rows += fresh.length;
  curves.appended += fresh.length;
  return curves.appended > TAIL;
}

// Listens for as long as the page is open; `heard` is told of every event, `changed` of the state of the line.
export function listen(heard, changed) {
  let source = null;
  let last = Date.now();
  let up = false;
  const lost = () => {
    if (up) changed("lost");
    up = false;
  };
  const open = () => {
    source?.close();
    source = new EventSource("api/events");
    last = Date.now();
    for (const name of ["hello", "run", "rows", "gone", "system"]) {
      source.addEventListener(name, (event) => {
        last = Date.now();
        const facts = JSON.parse(event.data);
        if (name === "system") {
          state.skew = facts.time - last / 1000;
          state.system.push(facts);
          if (state.system.length > SAMPLES) state.system.shift();
        }
        const fresh = name === "run" && !state.runs.has(facts.id);
        if (name === "run" && state.root) keep(facts); // before the list is there it says nothing new
        if (name === "gone") [state.runs.delete(facts.id), state.curves.delete(facts.id), state.shown.delete(facts.id)];
        if (name === "hello") {
          up = true;
          changed("live");
        }
        heard(name, facts, fresh);
      });
    }
    source.addEventListener("error", lost); // the browser tries again by itself, unless it was refused
  };
  setInterval(() => {
    const silent = (Date.now() - last) / 1000 > SILENCE;
    if (silent) lost();
    if (source.readyState === EventSource.CLOSED || silent) open();
  }, 1000);
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => event.persisted && open());
  open();
}
