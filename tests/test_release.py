"""What a release consists of: pins with hashes, builds of equal bytes, and the workflows that run the same scripts."""

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv

import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gym_jax import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PIN = re.compile(r"([\w.-]+)==([\w.]+)(?: ; (.+?))?((?: --hash=sha256:[0-9a-f]{64})+)")
COPIED = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "runs", "*.egg-info", ".*_cache", "__pycache__", ".hypothesis"
)


spec = importlib.util.spec_from_file_location("release_build", ROOT / "release" / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)
PINS = sorted((ROOT / "release").glob("*.txt"))


def pins(path):
    """The pinned versions of a file by name. Every line must be a pin with its hashes: no address, no option."""
    out = {}
    for line in path.read_text().replace(" \\\n   ", "").splitlines():
        found = PIN.fullmatch(line)
        assert found, line
        out.setdefault(canonicalize_name(found[1]), []).append((found[2], found[3]))
    return out


def changed_hash(text):
    """The same requirements with another digit in each hash."""
    return re.sub(r"(sha256:)([0-9a-f])", lambda found: found[1] + format(15 - int(found[2], 16), "x"), text)


def git(folder, *words):
    own = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True)


def test_every_supported_python_has_constraints_that_hold_what_the_wheel_asks_for():
    assert [path.name for path in PINS] == [*(f"constraints-{one}.txt" for one in build.supported()), "tools.txt"]
    asked = [
        *PROJECT["dependencies"],
        *(word for extra in build.EXTRAS for word in PROJECT["optional-dependencies"][extra]),
    ]
    for path in PINS[:-1]:
        found = pins(path)
        for requirement in map(Requirement, asked):
            versions = [version for version, _ in found[canonicalize_name(requirement.name)]]
            assert all(requirement.specifier.contains(one, prereleases=True) for one in versions), (
                path.name,
                requirement,
            )


def test_pins_name_no_address_and_stand_nowhere_else():
    for path in PINS:
        assert len(pins(path)) > 10
    assert not [path.name for path in PINS if re.search(r"https?:|index|\.(org|com|io)\b|/", path.read_text())]
    listed = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]
    assert not [one for one in listed if "==" in one]


def test_a_line_without_hash_or_with_an_address_is_no_pin(tmp_path):
    line = "--hash=sha256:" + 64 * "0"
    for text in ("a==1", f"a>=1 {line}", f"a @ file:///x {line}", "--index-url x", f"a==1 {line[:-1]}"):
        (tmp_path / "pins.txt").write_text(text)
        with pytest.raises(AssertionError):
            pins(tmp_path / "pins.txt")
    (tmp_path / "pins.txt").write_text(f"a==1 ; os_name == 'nt' \\\n    {line} \\\n    {line}\n")
    assert pins(tmp_path / "pins.txt") == {"a": [("1", "os_name == 'nt'")]}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a commit that could be released."""
    (tmp_path / "gym_jax").mkdir()
    (tmp_path / "gym_jax" / "__init__.py").write_text('__version__ = "1.2"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2 (today)\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "x")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    return tmp_path


def test_a_commit_is_a_release_when_version_changes_and_tag_agree(project):
    assert build.judged() == "1.2"
    git(project, "tag", "v1.3")
    with pytest.raises(SystemExit, match=r"tagged v1\.3, its version"):
        build.judged()
    git(project, "tag", "v1.2")
    assert build.judged() == "1.2"
    (project / "gym_jax" / "new.py").touch()
    with pytest.raises(SystemExit, match=r"differ from the commit:\n\?\? gym_jax/new.py"):
        build.judged()
    (project / "CHANGELOG.md").write_text("## Unreleased\n## 1.20\n")
    with pytest.raises(SystemExit, match=r"CHANGELOG.md has no `## 1.2`"):
        build.judged()


def test_who_made_a_source_archive_and_when_is_taken_out(tmp_path):
    def archive(name, order, **facts):
        for word in order:
            (tmp_path / word).write_text(word)
        with tarfile.open(tmp_path / name, "w:gz") as out:
            for word in order:
                one = out.gettarinfo(tmp_path / word, arcname=word)
                for key, value in facts.items():
                    setattr(one, key, value)
                with (tmp_path / word).open("rb") as content:
                    out.addfile(one, content)
        build.level(tmp_path / name, 1000)
        return (tmp_path / name).read_bytes()

    one = archive("one.tar.gz", "ab", mtime=1, uname="me", uid=7, mode=0o640)
    assert one == archive("other.tar.gz", "ba", mtime=2, gname="us", gid=8, mode=0o604)
    with tarfile.open(tmp_path / "one.tar.gz") as read:
        assert [(member.name, member.mtime, member.mode, member.uname) for member in read] == [
            ("a", 1000, 0o644, ""),
            ("b", 1000, 0o644, ""),
        ]


def workflow(name):
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())


def test_the_workflows_run_the_scripts_of_a_desk_on_every_supported_python():
    for name, job, script in (("ci.yml", "pass", ".ci/run"), ("release.yml", "build", "python release/build.py")):
        found = workflow(name)["jobs"][job]
        assert found["strategy"]["matrix"]["python"] == build.supported()
        assert script in " ".join(step.get("run", "") for step in found["steps"])
        assert "${{ matrix.python }}" in [step.get("with", {}).get("python-version") for step in found["steps"]]
    assert PROJECT["requires-python"] == f">={build.supported()[0]}"


def test_workflows_may_read_and_only_the_job_that_publishes_may_more():
    for path in (ROOT / ".github" / "workflows").iterdir():
        found = workflow(path.name)
        assert found["permissions"] == {"contents": "read"}
        more = {name: job["permissions"] for name, job in found["jobs"].items() if "permissions" in job}
        allowed = {"publish": {"id-token": "write", "attestations": "write"}} if path.name == "release.yml" else {}
        assert more == allowed
        for step in (step for job in found["jobs"].values() for step in job["steps"] if "uses" in step):
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v1)", step["uses"])
    assert workflow("release.yml")[True] == {"push": {"tags": ["v*"]}}


@pytest.mark.posix
@pytest.mark.slow
def test_a_release_is_made_as_contributing_says(tmp_path):
    """Minutes: two builds, and what the wheel needs is installed with its hashes, out of the package index."""
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=COPIED)
    changes = (copy / "CHANGELOG.md").read_text().replace("## Unreleased", f"## {__version__}", 1)
    (copy / "CHANGELOG.md").write_text(changes)
    git(copy, "init", "-q")
    git(copy, "add", "-A")
    git(copy, "commit", "-qm", "x")
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("## A release")[2]
    lines = re.findall(r"```sh\n(.*?)```", text, re.S)[0].splitlines()
    for line in lines:
        if not line.startswith(("git ", ".ci/")):
            line = line.replace("python3 ", f"{sys.executable} ", 1)
            done = subprocess.run(["bash", "-euc", line], cwd=copy, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (line, done.stdout + done.stderr)
    dist = copy / "dist"
    sums = dict(line.split("  ")[::-1] for line in (dist / "SHA256SUMS").read_text().splitlines())
    assert {path.name for path in dist.iterdir()} == {*sums, "SHA256SUMS"}
    assert set(sums) == {f"gym_jax-{__version__}{end}" for end in ("-py3-none-any.whl", ".tar.gz")} | {
        "gym_jax.cdx.json"
    }
    for name, digest in sums.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest
    bill = json.loads((dist / "gym_jax.cdx.json").read_text())
    assert bill["metadata"]["component"]["version"] == __version__
    (needed,) = (one["dependsOn"] for one in bill["dependencies"] if one["ref"] == "root-component")
    asked = {canonicalize_name(Requirement(one).name) for one in PROJECT["dependencies"]}
    assert asked <= {canonicalize_name(one.partition("==")[0]) for one in needed}


@pytest.mark.slow
def test_a_changed_hash_is_not_installed(tmp_path):
    """Out of the package index: one small package, with its hashes and with others."""
    venv.create(tmp_path / "environment")
    (text,) = re.findall(r"^annotated-types==.*(?:\n    .*)+", PINS[0].read_text(), re.M)
    pip = (sys.executable, "-m", "pip", "--python", str(tmp_path / "environment"), "install", "--require-hashes", "-r")

    def install(text):
        (tmp_path / "pins.txt").write_text(text)
        return subprocess.run([*pip, tmp_path / "pins.txt"], capture_output=True, text=True, check=False)

    changed = install(changed_hash(text))
    assert changed.returncode != 0
    assert "DO NOT MATCH THE HASHES" in changed.stderr
    assert not list((tmp_path / "environment").rglob("annotated_types"))
    right = install(text)
    assert right.returncode == 0, right.stderr
    assert list((tmp_path / "environment").rglob("annotated_types"))
