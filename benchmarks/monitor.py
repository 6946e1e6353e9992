"""The monitor in a real browser: a training watched live, and twenty long runs at once. `python benchmarks/monitor.py`

1. A training of three minutes is watched in Chromium. Its process is killed and taken up again, the server is stopped
   and started again. Every ten seconds, and at the end, the values on the page must be those of metrics.jsonl.
2. Twenty runs of 10,000 epochs: time until they are drawn, frames while the picture is zoomed and moved, bytes of an
   update.

Needs the extras `serve` and `extras`, and a Chromium. Writes results/monitor.json with --save.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import machine
import numpy as np
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from fake_runs import epoch, fake_run  # noqa: E402

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
QUIET = "--disable-background-networking --disable-component-update --disable-sync --no-first-run"
FLAGS = f"--no-sandbox --disable-gpu {QUIET}"
TRAINING = (
    "--model lstm --context 48 --horizon 12 --batch-size 64 --epochs 100000 model.hidden=16 data.synthetic.series=8 "
    "data.synthetic.days=14 data.stride=8 train.patience=null train.placement=one track.log_level=debug "
    "run.save_seconds=5"
)
NAMES = ("epoch", "loss", "val_loss", "lr", "grad_norm")
RUNS, EPOCHS = 20, 10_000
LAG = 3.0
"""Seconds within which the page must show an epoch that stands in the file."""


def start(*arguments):
    """Start a command of gymjax; return the process."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "gym_jax", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)


def serve(root, port=0):
    """Start the monitor; return the process and the port."""
    process = start("monitor", root, "--port", port)
    return process, int(process.stdout.readline().strip().rstrip("/").rsplit(":", 1)[1])


def stop(process, number=signal.SIGINT):
    """End a process and wait for it."""
    if process.poll() is None:
        process.send_signal(number)
    process.wait(60)
    process.stdout.close()


def lines_of(run):
    """Return the lines of metrics.jsonl by epoch."""
    try:
        text = (run / "metrics.jsonl").read_text()
    except FileNotFoundError:
        return {}
    return {line["epoch"]: line for line in map(json.loads, text[: text.rfind("\n") + 1].splitlines())}


def shown(page):
    """Return the values in the row of the run, as numbers."""
    script = (
        "(row) => Object.fromEntries([...row.children].slice(1).map((one) => [one.dataset.name, one.dataset.value]))"
    )
    cells = page.eval_on_selector("#values tbody tr", script)
    return {name: json.loads(cells[name]) if cells[name] else None for name in NAMES}


def compare(page, run):
    """Hold the page against the file; return how many epochs the page was behind. Raises AssertionError."""
    before = max(lines_of(run), default=0)
    time.sleep(LAG)
    found = shown(page)
    line = lines_of(run).get(found["epoch"])
    assert line is not None, f"the page shows epoch {found['epoch']}, the file has none"
    assert found == {name: line[name] for name in NAMES}, (found, line)
    assert found["epoch"] >= before, (found["epoch"], before)
    return max(lines_of(run)) - found["epoch"]


def whole(page, run):
    """Hold every point of the curves of the page against the file."""
    script = "import('./static/state.js').then(({ state }) => state.curves.get('watched').metrics.curves)"
    curves = page.evaluate(script)
    lines = lines_of(run)
    for name, curve in curves.items():
        for x, y in zip(curve["x"], curve["y"], strict=True):
            assert lines[x][name] == y, (name, x)
    missing = set(lines) - set(curves["loss"]["x"])
    assert max(curves["loss"]["x"]) == max(lines)
    return len(lines), len(missing)


@contextmanager
def opened(browser, url, faults):
    """Open the page; keep what goes wrong on it."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    here = "http://127.0.0.1:"
    page.on("request", lambda asked: None if asked.url.startswith(here) else faults.append(asked.url))
    page.goto(url)
    page.wait_for_selector("#connection[data-state=live]")
    yield page
    page.close()


def watch(browser, root, seconds):
    """Watch a training of so many seconds that is killed and resumed, and a server restart; return what was seen."""
    run, faults, checks = root / "watched", [], []
    server, port = serve(root)
    trainer = start("train", *TRAINING.split(), "--root", root, "--name", "watched", "-q")
    began = time.monotonic()
    killed = resumed = restarted = False
    try:
        with opened(browser, f"http://127.0.0.1:{port}/", faults) as page:
            page.wait_for_selector("#values tbody td[data-name=epoch]:not([data-value='0'])", timeout=90_000)
            while time.monotonic() - began < seconds:
                due = time.monotonic() + 10 - LAG
                passed = time.monotonic() - began
                if passed > seconds * 0.33 and not killed:
                    stop(trainer, signal.SIGKILL)
                    page.wait_for_selector("#runs .status:text('stopped')", timeout=15_000)
                    killed = True
                elif killed and not resumed:
                    trainer = start("train", "--resume", run, "-q")
                    page.wait_for_selector("#runs .status:text('running')", timeout=60_000)
                    resumed = True
                    time.sleep(8)
                elif passed > seconds * 0.66 and not restarted:
                    stop(server)
                    page.wait_for_selector("#connection[data-state=lost]", timeout=15_000)
                    server, _ = serve(root, port)
                    page.wait_for_selector("#connection[data-state=live]", timeout=15_000)
                    restarted = True
                checks.append({"at": round(time.monotonic() - began, 1), "behind": compare(page, run)})
                time.sleep(max(0.0, due - time.monotonic()))
            stop(trainer)
            page.wait_for_selector("#runs .status:text('stopped')", timeout=15_000)
            compare(page, run)
            epochs, thinned = whole(page, run)
    finally:
        for process in (trainer, server):
            stop(process, signal.SIGKILL)
    assert (killed, resumed, restarted) == (True, True, True)
    away = [fault for fault in faults if "ERR_CONNECTION_REFUSED" in fault or "INCOMPLETE_CHUNKED" in fault]
    assert faults == away, faults
    seen = {"seconds": seconds, "checks": len(checks), "epochs": epochs, "thinned_away": thinned, "refused": len(away)}
    return {**seen, "epochs_behind_at_most": max(one["behind"] for one in checks)}


def make_long_runs(root):
    """Write twenty finished-looking runs of ten thousand epochs."""
    for number in range(RUNS):
        noise = np.random.default_rng(number)
        path = fake_run(root, f"long-{number:02d}", epochs=EPOCHS, patience=None)
        at = np.arange(1, EPOCHS + 1)
        loss = 0.2 + np.exp(-at / (800 + 150 * number)) + 0.02 * noise.standard_normal(EPOCHS)
        val = loss * 1.05 + 0.03 * noise.standard_normal(EPOCHS)
        with (path / "metrics.jsonl").open("w") as metrics, (path / "log.jsonl").open("a") as log:
            for i in range(EPOCHS):
                line = {"epoch": i + 1, "step": 10 * (i + 1), "lr": 1e-3 * (1 - i / EPOCHS), "loss": loss[i]}
                metrics.write(json.dumps({**line, "grad_norm": abs(loss[i] - val[i]), "val_loss": val[i]}) + "\n")
                event = {"time": "2026-03-01T00:00:00.000+00:00", "event": "epoch", "epoch": i + 1}
                log.write(
                    json.dumps({**event, "step": 10 * (i + 1), "seconds": 2.0, "windows_per_second": 9000 + i % 700})
                    + "\n"
                )


FRAMES = """async (what) => {
  const { look } = await import('./static/curves.js');
  const times = [];
  let before = performance.now();
  for (let frame = 0; frame < 120; frame++) {
    const share = frame / 120;
    if (what === 'zoom') look([4000 * share, 10000 - 4000 * share]);
    if (what === 'pan') look([6000 * share, 6000 * share + 3000]);
    await new Promise((done) => requestAnimationFrame(done));
    times.push(performance.now() - before);
    before = performance.now();
  }
  look(null);
  return times.slice(2);
}"""
DRAW = """async () => {
  const { drawCurves } = await import('./static/curves.js');
  const times = [];
  for (let round = 0; round < 7; round++) {
    const begin = performance.now();
    drawCurves();
    await null; // uPlot draws at the end of the task
    await null;
    times.push(performance.now() - begin);
  }
  return times;
}"""
READY = """async (count) => {
  const { state } = await import('./static/state.js');
  const there = (id) => state.curves.get(id)?.metrics.rows >= 10000;
  while (state.shown.size !== count || ![...state.shown].every(there)) await new Promise(requestAnimationFrame);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""


def spread(times):
    """Return the middle, the 95th percentile and the longest of some milliseconds."""
    return {name: round(float(np.percentile(times, q)), 1) for name, q in (("p50", 50), ("p95", 95), ("max", 100))}


def crowd(browser, root):
    """Measure the page with twenty long runs."""
    make_long_runs(root)
    server, port = serve(root)
    url, faults = f"http://127.0.0.1:{port}/", []
    try:
        began = time.monotonic()
        httpx.get(f"{url}api/runs", timeout=60)
        first = time.monotonic() - began
        with opened(browser, url, faults) as page:
            page.evaluate(READY, 8)
            begin = time.monotonic()
            page.click("#show-all")
            page.evaluate(READY, RUNS)
            drawn = time.monotonic() - begin
            idle = page.evaluate(FRAMES, "nothing")
            frames = {what: spread(page.evaluate(FRAMES, what)) for what in ("zoom", "pan")}
            draw = page.evaluate(DRAW)
            names = [("run", f"long-{number:02d}") for number in range(RUNS)]
            curves = len(httpx.get(f"{url}api/curves", params=[("points", "1000"), *names], timeout=60).content)
            page.wait_for_timeout(1500)
            with httpx.stream("GET", f"{url}api/events", timeout=30) as stream:
                parts = stream.iter_text()
                next(parts)
                for number in range(RUNS):
                    epoch(root / f"long-{number:02d}", EPOCHS + 1, 0.2, 0.2, at=1)
                told = ""
                while told.count('"table":"metrics"') < RUNS or told.count('"table":"speed"') < RUNS:
                    told += next(parts)
            page.wait_for_selector(f"tr[data-run='long-00'] td[data-name=epoch][data-value='{EPOCHS + 1}']")
    finally:
        stop(server, signal.SIGKILL)
    assert not faults, faults
    rows = [line for line in told.splitlines() if '"rows"' in line]
    return {
        "runs": RUNS,
        "epochs": EPOCHS,
        "server_reads_all_s": round(first, 2),
        "curves_of_all_drawn_s": round(drawn, 2),
        "bytes_of_all_curves": curves,
        "frame_ms_idle": spread(idle),
        "frame_ms_zoom": frames["zoom"],
        "frame_ms_pan": frames["pan"],
        "draw_all_charts_ms": round(statistics.median(draw), 1),
        "bytes_of_an_epoch_of_a_run": round(sum(map(len, rows)) / RUNS),
        "bytes_of_an_epoch_of_all_runs_with_their_state": len(told),
    }


def main():
    """Run both parts and print one document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--only", choices=("watch", "crowd"))
    given = parser.parse_args()
    found = {"machine": machine.facts()}
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        found["chromium"] = browser.version
        for name in ("watch", "crowd"):
            if given.only in (None, name):
                root = Path(folder) / name
                root.mkdir()
                found[name] = watch(browser, root, given.seconds) if name == "watch" else crowd(browser, root)
                print(json.dumps({name: found[name]}, indent=1), flush=True)
        browser.close()
    if given.save:
        (HERE / "results" / "monitor.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
