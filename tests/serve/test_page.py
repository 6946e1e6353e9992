"""The page in a real browser: what it shows, how it is used, what it survives."""

import json

import pytest
from fake_runs import chunk, epoch, fake_run, serving, trained
from small import small_config, small_csv

from gym_jax.run.train import train_run
from gym_jax.serve.desk import Desk
from gym_jax.serve.guard import Rules

pytestmark = [pytest.mark.extras, pytest.mark.chromium]

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
ROW = "tr[data-run='{}'] td[data-name='{}']"
TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=[*QUIET, "--disable-sync", "--no-first-run"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A page whose errors and requests are kept; every test ends without any that should not be."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.faults, page.asked = [], []
    page.on("console", lambda said: page.faults.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("dialog", lambda dialog: page.faults.append(f"dialog {dialog.message}"))
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    context.close()
    assert page.faults == []
    assert all(url.startswith("http://127.0.0.1:") for url in page.asked)


def value(page, name, run="run"):
    return page.get_attribute(ROW.format(run, name), "data-value")


def wait_for(page, name, wanted, run="run"):
    """Wait until a value of the table is the one wanted."""
    page.wait_for_function(
        "([where, wanted]) => document.querySelector(where)?.dataset.value === wanted",
        arg=[ROW.format(run, name), wanted],
    )


def wait_for_curve(page, wanted):
    """Wait until the train loss is drawn with these values."""
    script = """async (wanted) => {
      const { state } = await import('./static/state.js');
      const text = JSON.stringify(wanted);
      for (let left = 600; left; left--) {
        if (JSON.stringify(state.curves.get('run')?.metrics.curves.loss.y) === text) return true;
        await new Promise((done) => setTimeout(done, 20));
      }
      return state.curves.get('run')?.metrics.curves.loss.y;
    }"""
    assert page.evaluate(script, wanted) is True


def text(number):
    """Return a number as JavaScript writes it."""
    return json.dumps(number).removesuffix(".0")


def test_the_page_follows_a_run_and_shows_its_values(page, tmp_path):
    path = fake_run(tmp_path, patience=4)
    with serving(tmp_path) as url, trained(path):
        page.goto(url)
        page.wait_for_selector("#connection[data-state=live]")
        for number in range(1, 8):
            chunk(path, number - 1, 5, at=number - 0.5)
            line = epoch(path, number, 0.1 + 1 / number, 0.3 + abs(number - 5) / 7, at=number)
            wait_for(page, "epoch", text(number))
            for name in ("loss", "val_loss", "lr", "grad_norm"):
                assert value(page, name) == text(line[name])
        wait_for(page, "patience_left", "2")
        assert "at 5" in page.inner_text(ROW.format("run", "best"))
        assert page.inner_text("#runs .status") == "running"
        assert value(page, "windows_per_second") == "1007"
        assert page.inner_text(ROW.format("run", "left")) == "0:00"  # by the clock of its log it is over long since
        assert "cores" in page.inner_text("#system")
        for chart in ("rate", "norm", "speed", "system"):
            page.locator(f"#title-{chart}").scroll_into_view_if_needed()
            page.wait_for_selector(f"#chart-{chart} canvas")
        assert page.locator("#chart-loss canvas").count() == 1
        plotted = page.evaluate("import('./static/state.js').then(m => m.state.curves.get('run').metrics.curves.loss)")
        assert plotted == {"x": list(range(1, 8)), "y": [0.1 + 1 / number for number in range(1, 8)]}
        (path / "status.json").write_text('{"schema": 2, "status": "failed", "reason": "disk full"}')
    page.faults.clear()  # the server has gone before the page


def test_a_run_that_is_taken_up_again_is_drawn_anew(page, tmp_path):
    path = fake_run(tmp_path)
    for number in (1, 2, 3):
        epoch(path, number, 1 / number, None)
    with serving(tmp_path) as url:
        page.goto(url)
        wait_for(page, "epoch", "3")
        kept = (path / "metrics.jsonl").read_text().splitlines(keepends=True)[:2]
        (path / "metrics.jsonl").write_text("".join(kept))
        wait_for(page, "epoch", "2")
        epoch(path, 3, 0.25, None)
        wait_for(page, "loss", "0.25")
        wait_for_curve(page, [1, 0.5, 0.25])
    page.faults.clear()


def test_the_page_survives_the_servers_restart(page, tmp_path):
    path = fake_run(tmp_path)
    epoch(path, 1, 0.9, 0.8)
    with serving(tmp_path) as url:
        page.goto(url)
        wait_for(page, "epoch", "1")
    page.wait_for_selector("#connection[data-state=lost]")
    assert "disconnected" in page.inner_text("#connection")
    epoch(path, 2, 0.7, 0.6)
    with serving(tmp_path, int(url.rsplit(":", 1)[1])):
        page.wait_for_selector("#connection[data-state=live]")
        wait_for(page, "epoch", "2")
        wait_for_curve(page, [0.9, 0.7])
        epoch(path, 3, 0.5, 0.4)
        wait_for(page, "epoch", "3")
        wait_for_curve(page, [0.9, 0.7, 0.5])
        refused = [fault for fault in page.faults if "ERR_CONNECTION_REFUSED" in fault or "INCOMPLETE_CHUNK" in fault]
        assert page.faults == refused  # the browser's own words for a server that is away
        page.faults.clear()
        page.goto("about:blank")


def test_mouse_and_keyboard_reach_everything(page, tmp_path):
    for name in ("old", "new"):
        path = fake_run(tmp_path, name)
        for number in range(1, 60):
            epoch(path, number, 2 / number, 2.1 / number, at=0)
    group = fake_run(tmp_path, "seeds", train={"seeds": 2})
    fake_run(group / "members", "0")
    with serving(tmp_path) as url:
        page.goto(url)
        page.wait_for_selector(ROW.format("old", "loss"))
        page.click("#show-none")
        page.wait_for_selector("#chart-loss .none")
        assert page.locator("#values tbody tr").count() == 0
        page.check("input[aria-label='Draw new']")
        page.wait_for_selector(ROW.format("new", "loss"))
        page.click("#log")
        assert page.get_attribute("#log", "aria-pressed") == "true"
        page.click("#runs a[title='old']")
        page.wait_for_selector("#title-details:text('old')")
        assert page.is_checked("input[aria-label='Draw old']")
        page.fill("#filter", "seeds")
        assert page.locator("#runs .run:visible").count() == 2
        page.fill("#filter", "")
        page.click("#runs a[title='seeds/0']")
        page.click("#links a:text('group seeds')")
        page.wait_for_selector("#title-details:text-is('seeds')")
        view = "import('./static/state.js').then(m => m.state.view)"
        page.locator("#title-loss").scroll_into_view_if_needed()
        box = page.locator("#chart-loss .u-over").bounding_box()
        page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 60, steps=4)
        page.mouse.up()
        low, high = page.evaluate(view)
        assert 10 < low < 20 < high < 35
        page.focus("#chart-loss")
        page.keyboard.press("ArrowRight")
        assert page.evaluate(view)[0] > low
        page.keyboard.press("-")
        page.keyboard.press("0")
        assert page.evaluate(view) is None
        page.focus("#tab-curves")
        page.keyboard.press("ArrowRight")
        assert page.get_attribute("#tab-inference", "aria-selected") == "true"
        assert page.evaluate("document.activeElement.id") == "tab-inference"
        page.wait_for_selector("#ask-state.wrong")  # it is no real run
        assert "try: " in page.inner_text("#ask-state")
        page.faults.clear()  # the browser tells of the refusal
        page.keyboard.press("ArrowLeft")
        assert page.is_visible("#chart-loss")
        reached = set()
        page.focus("#filter")
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id || document.activeElement.ariaLabel"))
        assert {"show-newest", "show-all", "show-none", "log", "reset", "chart-loss", "chart-rate"} <= reached
        page.goto("about:blank")


def test_names_of_runs_stay_text(page, tmp_path):
    name = "<img src=x onerror=alert(1)>&\"'"
    path = fake_run(tmp_path, name, model={"kind": "<script>alert(2)</script>"})
    epoch(path, 1, 0.5, 0.4)
    (path / "status.json").write_text('{"schema": 2, "status": "failed", "reason": "<b onmouseover=alert(3)>x</b>"}')
    with serving(tmp_path) as url:
        page.goto(url)
        page.wait_for_selector("#values tbody td")
        assert page.inner_text("#runs a") == name
        assert page.inner_text("#title-details") == name
        assert "<b onmouseover=alert(3)>x</b>" in page.inner_text("#facts")
        assert page.locator("main img, aside img, main b").count() == 0
        page.goto("about:blank")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_hangs_out_of_a_narrow_page(chromium, tmp_path, scheme):
    for number in range(12):
        epoch(fake_run(tmp_path, f"a-run-with-a-rather-long-name-{number}"), 1, 0.5, 0.4)
    context = chromium.new_context(viewport={"width": 800, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    with serving(tmp_path) as url:
        page.goto(url)
        page.wait_for_selector("#values tbody td")
        assert page.evaluate("document.documentElement.scrollWidth") <= 800
        page.goto("about:blank")
    context.close()


def test_who_knows_the_token_comes_in_once(page, tmp_path):
    epoch(fake_run(tmp_path), 1, 0.5, 0.4)
    rules = Rules(token=TOKEN)
    with serving(tmp_path, rules=rules) as url:
        page.goto(url)
        page.fill("#token", "wrong")
        page.click("button")
        page.wait_for_selector("#said:text('not the token')")
        page.faults.clear()  # the browser tells of the refusal
        page.fill("#token", TOKEN)
        page.keyboard.press("Enter")
        wait_for(page, "epoch", "1")
        assert not any(TOKEN in asked for asked in page.asked)
        page.reload()
        wait_for(page, "epoch", "1")
        page.goto("about:blank")


def test_a_forecast_follows_slider_mouse_and_keys(page, tmp_path):
    data = small_csv(tmp_path / "usage.csv")
    settings = (f"data.path={data}", "data.target=[cpu]", "loss=quantiles", "train.epochs=1", "run.name=real")
    train_run(small_config(tmp_path / "runs", "mlp", *settings))
    desk = Desk()
    with serving(tmp_path / "runs", desk=desk) as url:
        page.goto(f"{url}/#tab=inference&run=real")
        page.wait_for_selector("#asked:not([hidden]) canvas", timeout=60_000)
        page.wait_for_selector("#origin-text:text('future')")
        page.focus("#origin")
        page.keyboard.press("ArrowLeft")
        page.wait_for_selector("#origin-text:text('test part')")
        assert "test part" in page.get_attribute("#origin", "aria-valuetext")
        box = page.locator("#chart-forecast .u-over").bounding_box()
        start = int(page.input_value("#origin"))
        page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 80)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 80, steps=10)
        page.mouse.up()
        moved = int(page.input_value("#origin"))
        assert start - 50 < moved < start - 20
        page.focus("#chart-forecast")
        for key, by in (("ArrowLeft", -1), ("Shift+ArrowRight", 4), ("ArrowRight", 1)):
            page.keyboard.press(key)
            moved += by
            assert page.input_value("#origin") == str(moved)
        page.click("#earlier")
        with page.expect_response(lambda answer: f"origin={moved - 2}&" in answer.url) as answered:
            page.click("#earlier")
        answer = answered.value.json()
        assert answer["origin"] == moved - 2
        shown = f"#allocation-table td[data-value='{text(answer['allocation'][0]['value'])}']"
        page.wait_for_selector(shown)
        assert "0.9 quantile" in page.inner_text("#allocation-said")
        page.keyboard.press("Tab")
        page.select_option("#ask-series", "b")
        page.wait_for_selector("#chart-forecast[aria-label*='cpu of b']")
        assert next(iter(desk.loaded)).endswith("real")
        page.goto("about:blank")
