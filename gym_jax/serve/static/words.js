// Numbers, times and elements as people read them. Texts of runs become text nodes and nothing else.

export function el(tag, facts = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function say(node, text) {
  if (node.textContent !== text) node.textContent = text; // a text that stays is not read out again
}

export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(digits - 1);
  return String(Number(value.toPrecision(digits)));
}

export function whole(value) {
  return value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en-US");
}

export function clock(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return "–";
  const left = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const two = (value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export function size(bytes) {
  return bytes === null || bytes === undefined ? "–" : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

export function stamp(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
}

export function moment(seconds) {
  const text = stamp(seconds);
  return text.endsWith(":00") ? text.slice(0, 16) : text;
}

export function epochs(run) {
  const at = run.at !== null && run.at > run.epoch ? (Math.floor(run.at * 10) / 10).toFixed(1) : whole(run.epoch);
  return run.epochs === null ? at : `${at} / ${whole(run.epochs)}`;
}

export function patience(run) {
  if (run.patience_left === null) return "–";
  return `${run.patience_left} of ${run.patience}`;
}
