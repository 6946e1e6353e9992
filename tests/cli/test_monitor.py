"""`gymjax monitor` from outside: where the page is, what the terminal shows, what is refused."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import httpx
import pytest
from conftest import ROOT
from fake_runs import epoch, fake_run, trained

from gym_jax.cli import main
from gym_jax.cli.monitor_screen import safe, sparkline, wait
from gym_jax.errors import MissingExtra
from gym_jax.serve import server


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second"):
        path = fake_run(tmp_path / "runs", name)
        for number in (1, 2, 3):
            epoch(path, number, 1 / number, 2 / number)
    return tmp_path / "runs"


def begun(*arguments):
    """Start the command as a process; return it and what it printed first."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "gym_jax", "monitor", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )
    return process, process.stdout.readline()


@pytest.mark.posix
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_where_the_page_is_and_leaves_when_it_is_told(runs, signal_):
    process, line = begun(runs, "--port", 0)
    try:
        url = line.strip()
        assert url.startswith("http://127.0.0.1:")
        found = httpx.get(f"{url}api/runs").json()
        assert [run["id"] for run in found["runs"]] == ["second", "first"]
        with httpx.stream("GET", f"{url}api/events", timeout=20) as stream:
            next(stream.iter_lines())  # a page is open
            process.send_signal(signal_)
            out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert out == ""
    assert err == f"watching {runs}; Ctrl-C ends it\n"


@pytest.mark.posix
def test_one_document_says_where_the_page_is(runs):
    process, line = begun(runs / "first", "--port", 0, "--json")
    try:
        text = line
        while not text.rstrip().endswith("\n}"):
            text += process.stdout.readline()
        document = json.loads(text)
        assert document["root"] == str(runs / "first")
        assert [run["id"] for run in httpx.get(f"{document['url']}api/runs").json()["runs"]] == ["first"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "", "")


def test_one_frame_shows_every_run(runs, capsys):
    failed = fake_run(runs, "third", status="failed")
    (failed / "status.json").write_text('{"schema": 2, "status": "failed", "reason": "bad \\u001b[31m disk"}')
    with trained(runs / "first"):
        assert main(["monitor", "--once"]) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line.split() for line in reversed(out.splitlines()) if line}
    assert lines["first"][1:6] == ["running", "3/40", "0.3333", "0.6667", "0.6667"]
    assert "█▃▁" in lines["first"]
    assert "4/4" in lines["first"]
    assert "1,003" in lines["first"]
    assert lines["second"][1] == "stopped"
    assert "third failed: bad ?[31m disk" in out
    assert "load" in out
    assert "\x1b" not in out


def test_the_frame_as_one_document(runs, capsys):
    assert main(["monitor", "latest", "--once", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["command"] == "monitor"
    assert [run["id"] for run in document["runs"]] == ["second"]
    assert document["runs"][0]["val_loss"] == 2 / 3


def test_the_terminal_needs_no_extra_and_the_page_says_which(runs, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", None)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["monitor", "--once"]) == 0
    assert "second" in capsys.readouterr().out
    assert main(["monitor"]) == MissingExtra.exit_code
    assert "pip install 'gym-jax[serve]'" in capsys.readouterr().err


def refused(capsys, *arguments):
    code = main(["monitor", *arguments])
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(":")[0] for line in err.splitlines()] == ["error", "hint", "try"]
    return code, err


@pytest.mark.posix
def test_what_can_not_be_served_is_refused_in_three_lines(runs, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, err = refused(capsys, "--port", port)
        assert (code, f"port {port} of 127.0.0.1 is taken" in err, "--port 0" in err) == (2, True, True)
    for host in ("0.0.0.0", "::", "10.1.2.3"):
        code, err = refused(capsys, "--host", host)
        assert (code, "--token-file" in err) == (2, True)
    (runs.parent / "token").write_text("short")
    assert refused(capsys, "--token-file", "token")[0] == 2
    assert "can not be read" in refused(capsys, "--token-file", "nowhere")[1]
    code, err = refused(capsys, "nowhere")
    assert (code, "no run and no folder of runs at `nowhere`" in err) == (4, True)
    code, err = refused(capsys, "--tui")
    assert (code, "--once" in err) == (2, True)
    for host in ("no.such.host.invalid", "host..example"):
        assert "no address" in refused(capsys, "--host", host, "--token-file", str(token(runs)))[1]


def test_a_root_is_watched_wherever_it_is_named(runs, capsys, monkeypatch):
    monkeypatch.chdir("/")
    monkeypatch.setenv("GYMJAX_RUN_ROOT", str(runs))
    for words in ([str(runs)], ["--root", str(runs)], []):
        assert main(["monitor", *words, "--once", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert (document["root"], len(document["runs"])) == (str(runs), 2)
    assert main(["monitor", str(runs.parent), "--once"]) == 0
    assert f"no runs in {runs.parent} yet" in capsys.readouterr().out


def test_a_browser_is_opened_only_when_it_is_asked_for(runs, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("gym_jax.serve.server.make_server", lambda app: SimpleNamespace(run=lambda sockets: None))
    assert main(["monitor", "--port", "0"]) == 0
    assert opened == []
    capsys.readouterr()
    assert main(["monitor", "--port", "0", "--open"]) == 0
    assert opened == [capsys.readouterr().out.strip()]


@pytest.mark.posix
def test_a_terminal_shows_the_runs_until_it_is_told(runs):
    import pty

    master, terminal = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "140", "LINES": "30"}
    command = [sys.executable, "-m", "gym_jax", "monitor", str(runs), "--tui", "--every", "0.1"]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, env=environment)
    os.close(terminal)
    try:
        shown = read_until(master, b"second")
        assert b"stopped" in read_until(master, b"first", shown)
        epoch(runs / "first", 4, 0.125, 0.0625)
        read_until(master, b"0.0625")
        process.send_signal(signal.SIGINT)
        read_until(master, b"")
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
        os.close(master)
    assert (process.returncode, err) == (0, b"")


def read_until(terminal, wanted, shown=b""):
    """Read what a terminal shows until something stands there, or to the end for nothing."""
    while not wanted or wanted not in shown:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # its other end was closed
            assert not wanted, shown
            return shown
    return shown


def token(runs):
    path = runs.parent / "good"
    path.write_text("correct-horse-battery-staple")
    path.chmod(0o600)
    return path


def test_an_address_is_written_as_browsers_want_it():
    with server.bind("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        assert server.url_of(listening, "127.0.0.1") == f"http://127.0.0.1:{port}/"
        assert server.url_of(listening, "0.0.0.0") == f"http://127.0.0.1:{port}/"
        assert server.url_of(listening, "::1") == f"http://[::1]:{port}/"


def test_a_signal_ends_the_wait_for_the_next_frame():
    signals, began = iter([None, signal.SIGINT]), time.monotonic()
    wait(60, lambda: next(signals))
    assert time.monotonic() - began < 10


def test_a_course_by_hand():
    assert sparkline([0.0, 7.0, 3.5, float("nan")]) == "▁█▅ "
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([]) == ""
    assert safe("a\x1b]0;x\x07b\n") == "a?]0;x?b?"
