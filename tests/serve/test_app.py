"""The documents and events of the monitor: what they hold, and who gets them."""

import asyncio
import doctest
import json
from urllib.parse import quote

import httpx
import pytest
from conftest import ROOT
from fake_runs import epoch, fake_run, serving, trained
from starlette.applications import Starlette
from starlette.routing import Mount

from gym_jax.errors import ConfigError
from gym_jax.serve import app as apps
from gym_jax.serve import hub
from gym_jax.serve.app import make_app, static_files
from gym_jax.serve.guard import Rules, allowed_hosts, cookie_of, read_token
from gym_jax.serve.server import bind

TOKEN = "correct-horse-battery-staple"
NAMES = (
    "<img src=x onerror=alert(1)>",
    "a&run=b",
    "100%",
    "..%2f..%2fetc",
    "über dem\nZaun",
    "'; drop",
    "x" * 255,
)


class Page:
    """Asks an application without a network, and keeps its cookies."""

    def __init__(self, app):
        self.app, self.cookies = app, httpx.Cookies()

    def request(self, method, path, **given):
        async def ask():
            place = {"transport": httpx.ASGITransport(self.app), "base_url": "http://127.0.0.1:8642"}
            async with httpx.AsyncClient(**place, cookies=self.cookies, follow_redirects=True) as client:
                answer = await client.request(method, path, **given)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())

    def get(self, path, **given):
        return self.request("GET", path, **given)


def client(root, rules=None, **options):
    return Page(make_app(root, rules=rules or Rules(), every=0, **options))


def test_values_are_those_of_the_run(tmp_path):
    path = fake_run(tmp_path)
    lines = [epoch(path, number, 1 / number, 1 / number + 0.1) for number in range(1, 6)]
    page = client(tmp_path)
    (run,) = page.get("/api/runs").json()["runs"]
    assert {key: run[key] for key in lines[-1]} == lines[-1]
    (found,) = page.get("/api/curves", params={"run": "run"}).json()["runs"]
    for name in ("loss", "val_loss", "lr", "grad_norm"):
        assert found["metrics"]["curves"][name] == {"x": [1, 2, 3, 4, 5], "y": [line[name] for line in lines]}
    assert found["speed"]["curves"]["windows_per_second"]["y"] == [1001, 1002, 1003, 1004, 1005]


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_only_a_name(tmp_path, name):
    epoch(fake_run(tmp_path, name), 1, 0.5, 0.4)
    page = client(tmp_path)
    assert [run["id"] for run in page.get("/api/runs").json()["runs"]] == [name]
    assert page.get("/api/curves", params={"run": name}).json()["runs"][0]["id"] == name


@pytest.mark.parametrize("name", ["nowhere", "", "../run", "run/..", ".", "/etc/passwd", "run\0", "x" * 400])
def test_what_is_no_run_is_not_found(tmp_path, name):
    fake_run(tmp_path / "runs")
    page = client(tmp_path / "runs")
    for path in ("/api/curves", "/api/series", "/api/forecast"):
        assert page.get(path, params={"run": name}).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/%2fetc%2fpasswd", "/static/", "/x"],
)
def test_nothing_else_is_served(tmp_path, path):
    with serving(tmp_path) as url, httpx.Client() as connection:  # a real server: it gets the path as it is
        request = connection.build_request("GET", url)
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = connection.send(request)
        assert answer.status_code == 404
        assert "import" not in answer.text


def test_the_page_and_its_parts_are_whole_and_bound_to_themselves(tmp_path):
    page = client(tmp_path)
    for name, content in static_files().items():
        answer = page.get(f"/static/{name}")
        assert answer.content == content
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
        assert answer.headers["x-content-type-options"] == "nosniff"
        text = content.decode()
        if not name.startswith("uPlot"):
            assert "innerHTML" not in text
            assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
    html = page.get("/").text
    assert "style=" not in html
    assert "<script>" not in html
    assert all(f"static/{name}" in html for name in ("main.js", "uPlot.iife.min.js", "monitor.css"))
    assert page.get("/api/runs").headers["cache-control"] == "no-store"


def test_only_get_is_answered(tmp_path):
    page = client(tmp_path)
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = page.request(method, "/api/runs")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        assert "content-security-policy" in answer.headers
    assert page.request("HEAD", "/").status_code == 200


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:8642", 200),
        ("localhost", 200),
        ("localhost:9999", 200),  # the other end of a tunnel
        ("[::1]:8642", 200),
        ("evil.example", 421),
        ("evil.example:8642", 421),
        ("127.0.0.1.evil.example", 421),
        ("10.0.0.7:8642", 421),
        ("", 421),
    ],
)
def test_a_server_of_this_machine_answers_to_its_names_only(tmp_path, host, code):
    assert client(tmp_path).get("/api/runs", headers={"host": host}).status_code == code


def test_a_server_that_is_seen_answers_to_addresses_and_its_own_names(tmp_path):
    rules = Rules(allowed_hosts("0.0.0.0", ["box"]), anywhere=True, token=TOKEN)
    page, headers = client(tmp_path, rules), {"authorization": f"Bearer {TOKEN}"}
    for host, code in (("10.0.0.7:8642", 200), ("box:1", 200), ("BOX", 200), ("[fe80::1]", 200), ("evil.example", 421)):
        assert page.get("/api/runs", headers={**headers, "host": host}).status_code == code


def test_other_sites_may_link_to_the_page_and_no_more(tmp_path):
    page, headers = client(tmp_path), {"sec-fetch-site": "cross-site"}
    assert page.get("/", headers=headers).status_code == 200
    assert page.get("/api/runs", headers=headers).status_code == 403
    assert "access-control-allow-origin" not in page.get("/api/runs", headers={"origin": "http://x"}).headers


def test_without_the_token_there_is_nothing_but_the_page_that_asks_for_it(tmp_path):
    fake_run(tmp_path, "secret-run")
    page = client(tmp_path, Rules(token=TOKEN))
    for path in ("/api/runs", "/api/curves?run=secret-run", "/api/events", "/api/session", "/api/series?run=x"):
        assert page.get(path).status_code == 401
    assert "password" in page.get("/").text
    assert page.get("/static/login.js").status_code == 200
    for wrong in ("", "Bearer", "Bearer x", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer \xe9"):
        assert page.get("/api/runs", headers={"authorization": wrong.encode("latin-1")}).status_code == 401
    assert page.get("/api/runs", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    answer = page.get("/api/session", headers={"authorization": f"Bearer {TOKEN}"})
    kept = answer.headers["set-cookie"].lower()
    assert "httponly" in kept
    assert "samesite=strict" in kept
    assert TOKEN not in kept
    assert page.get("/api/runs").json()["runs"][0]["id"] == "secret-run"  # the client keeps the cookie
    assert "tablist" in page.get("/").text
    page.cookies.clear()
    for wrong in ("x", TOKEN, cookie_of(TOKEN + "x")):
        assert page.get("/api/runs", headers={"cookie": f"gymjax_monitor={wrong}"}).status_code == 401
    for others in ('prefs={"a":1}; ', "theme; ", "a b=c;"):  # of servers at other ports of this host
        cookies = f"{others}gymjax_monitor={cookie_of(TOKEN)}"
        assert page.get("/api/runs", headers={"cookie": cookies}).status_code == 200


@pytest.mark.posix
def test_a_token_is_read_or_refused(tmp_path):
    place = tmp_path / "token"
    for text in ("", "short", "two words that are long enough", "é" * 20):
        place.write_text(text)
        with pytest.raises(ConfigError, match="holds no token"):
            read_token(place)
    with pytest.raises(ConfigError, match="can not be read"):
        read_token(tmp_path / "nowhere")
    place.write_text(TOKEN + "\n")
    place.chmod(0o600)
    assert read_token(place) == (TOKEN, [])
    place.chmod(0o644)
    assert "chmod 600" in read_token(place)[1][0]


def test_limits_hold(tmp_path, monkeypatch):
    path = fake_run(tmp_path)
    for number in range(1, 100):
        epoch(path, number, 1 / number, None, at=0)
    page = client(tmp_path)
    for points in ("1", "-5", "nan", "1e99", "x", "9" * 50):
        found = page.get("/api/curves", params={"run": "run", "points": points}).json()["runs"][0]
        assert 16 <= len(found["metrics"]["curves"]["loss"]["x"]) <= 99
    view = {"run": "run", "points": "16", "from": "10", "to": "20"}
    loss = page.get("/api/curves", params=view).json()["runs"][0]["metrics"]["curves"]["loss"]
    assert set(range(10, 21)) <= set(loss["x"])
    monkeypatch.setattr(apps, "SEVERAL", 2)
    assert page.get("/api/curves?run=run&run=run&run=run").status_code == 413
    monkeypatch.setattr(apps, "PAGES", 0)
    assert page.get("/api/events").status_code == 503


def test_it_can_be_mounted_in_another_application(tmp_path):
    fake_run(tmp_path)
    app = Starlette(routes=[Mount("/monitor", make_app(tmp_path, rules=Rules(token=TOKEN), every=0))])
    page = Page(app)
    assert "password" in page.get("/monitor").text
    assert page.get("/monitor/api/runs").status_code == 401
    answer = page.get("/monitor/api/session", headers={"authorization": f"Bearer {TOKEN}"})
    assert "path=/monitor" in answer.headers["set-cookie"].lower()
    assert "tablist" in page.get("/monitor/").text
    assert len(page.get("/monitor/api/runs").json()["runs"]) == 1
    assert page.get("/monitor/static/main.js").status_code == 200


def events(stream):
    """Yield the events of a stream: name and document."""
    name = ""
    for line in stream.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_a_new_epoch_comes_as_an_event_and_so_does_its_end(tmp_path):
    path = fake_run(tmp_path)
    epoch(path, 1, 0.9, 0.8)
    with serving(tmp_path) as url, trained(path), httpx.stream("GET", f"{url}/api/events", timeout=20) as stream:
        told = events(stream)
        assert next(told)[0] == "hello"
        assert httpx.get(f"{url}/api/runs").json()["runs"][0]["epoch"] == 1
        line = epoch(path, 2, 0.7, 0.6)
        _name, facts = next(one for one in told if one[0] == "rows" and one[1]["table"] == "metrics")
        assert (facts["id"], facts["from"]) == ("run", 1)
        assert facts["rows"] == [[line[key] for key in ("epoch", "step", "lr", "loss", "grad_norm", "val_loss")]]
        (path / "status.json").write_text('{"schema": 2, "status": "done"}')
        assert next(facts for name, facts in told if name == "run" and facts["status"] == "done")["epoch"] == 2
        fake_run(tmp_path, "another")
        assert next(facts for name, facts in told if name == "run" and facts["id"] == "another")


def test_a_server_that_leaves_lets_its_pages_go_and_its_port(tmp_path):
    with serving(tmp_path) as url, httpx.stream("GET", f"{url}/api/events", timeout=20) as stream:
        told = events(stream)
        next(told)
        port = int(url.rsplit(":", 1)[1])
        with pytest.raises(ConfigError, match="is taken"):
            bind("127.0.0.1", port)
    with serving(tmp_path, port) as url:
        assert httpx.get(f"{url}/api/runs").status_code == 200


def test_a_page_that_does_not_read_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "WAITING", 3)
    path = fake_run(tmp_path)
    app = make_app(tmp_path, every=0)

    async def slow():
        listener = app.state.hub.listen()
        assert "hello" in await anext(listener)
        for number in range(1, 9):
            epoch(path, number, 0.5, 0.4, at=0)
            await app.state.hub.refresh()
        heard = [text async for text in listener]
        assert len(heard) == 3
        assert not app.state.hub.listeners

    asyncio.run(slow())


def test_a_look_that_fails_does_not_end_the_others(tmp_path, monkeypatch):
    fake_run(tmp_path)
    app, failed = make_app(tmp_path, every=0), []
    look = app.state.hub.watcher.look

    def flaky():
        if failed:
            return look()
        failed.append(True)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(app.state.hub.watcher, "look", flaky)

    async def hear():
        listener = app.state.hub.listen()
        assert "hello" in await anext(listener)
        async with asyncio.timeout(10):
            assert "event: run" in await anext(listener)
        app.state.close()

    asyncio.run(hear())
    assert failed


def test_the_document_is_right():
    result = doctest.testfile(str(ROOT / "docs" / "monitor.md"), module_relative=False)
    assert (result.attempted, result.failed) == (5, 0)


def test_names_in_urls_are_quoted_by_the_page(tmp_path):
    fake_run(tmp_path, "a b&c=d#e")
    name = quote("a b&c=d#e")
    assert client(tmp_path).get(f"/api/curves?run={name}").status_code == 200
