"""A release: `python release/build.py` makes it in dist/ and proves it; `python release/build.py pin` renews the pins.

Both need what `release/tools.txt` names. Made are the wheel and the source archive, each built twice with equal bytes,
a bill of materials (CycloneDX) of what the wheel needs, and SHA256SUMS. `pin` writes the newest versions that go
together into `constraints-3.XX.txt` and `tools.txt`, with the hashes of every file of each, for every platform.
"""

import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINS = ROOT / "release"
EXTRAS = ("serve", "tune")
"""What the constraints cover beside the dependencies of everybody."""
TOOLS = ("build>=1.2", "cyclonedx-bom>=7", "setuptools>=77", "uv>=0.9")
"""What this script runs."""
NEWEST = ("uv", "pip", "compile", "--quiet", "--universal", "--upgrade", "--generate-hashes", "--no-header")
PLAIN = ("--no-annotate", "--no-emit-index-url", "--no-emit-find-links")


def supported() -> list[str]:
    """Return the Pythons that pyproject.toml names."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["classifiers"]
    return [words[-1] for one in named if re.fullmatch(r"3\.\d+", (words := one.split(" :: "))[-1])]


def pin() -> None:
    """Write the constraints of every supported Python, and the tools of this script."""
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    for python in supported():
        into = ("--python-version", python, "--output-file", f"release/constraints-{python}.txt")
        tool(*NEWEST, *PLAIN, *into, *extras, "pyproject.toml")
    into = ("--python-version", supported()[0], "--output-file", "release/tools.txt")
    tool(*NEWEST, *PLAIN, *into, "-", given="\n".join(TOOLS))


def release(out: Path) -> None:
    """Make the release of the commit that is checked out."""
    version = judged()
    epoch = git("log", "-1", "--format=%ct")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        once, again = (built(place / name, int(epoch)) for name in ("once", "again"))
        for one, other in zip(once, again, strict=True):
            if digest(one) != digest(other):
                sys.exit(f"error: {one.name} is not the same when it is built again")
            (out / one.name).write_bytes(one.read_bytes())
        (wheel,) = out.glob(f"*-{version}-*.whl")
        python = installed(wheel, place / "environment")
        if version not in (said := run(str(python.with_name("gymjax")), "--version")):
            sys.exit(f"error: the installed wheel says {said}")
        about = place / "pyproject.toml"  # the version of ours is found at run time, which a bill of materials can not
        ours = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        about.write_text(ours.replace('dynamic = ["version"]', f'version = "{version}"'), encoding="utf-8")
        bill = out / "gym_jax.cdx.json"
        asked = ("--pyproject", str(about), "--output-reproducible", "--validate", "--spec-version", "1.6")
        tool("cyclonedx-py", "environment", *asked, "--output-file", str(bill), str(python))
    made = [bill, *(out / one.name for one in once)]
    sums = "".join(f"{digest(one)}  {one.name}\n" for one in made)
    (out / "SHA256SUMS").write_text(sums, encoding="utf-8", newline="\n")
    print(sums, end="")


def judged() -> str:
    """Return the version; leave when something about the commit says that it is no release."""
    (version,) = re.findall(r'^__version__ = "(.+)"$', (ROOT / "gym_jax/__init__.py").read_text(encoding="utf-8"), re.M)
    if not re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M):
        sys.exit(f"error: CHANGELOG.md has no `## {version}`\nhint: move what is under Unreleased below such a line")
    if changed := git("status", "--porcelain"):
        sys.exit(
            f"error: files differ from the commit:\n{changed}\nhint: commit them, a release is what a commit holds"
        )
    if (tags := git("tag", "--points-at", "HEAD").split()) and f"v{version}" not in tags:
        sys.exit(f"error: the commit is tagged {', '.join(tags)}, its version is {version}\ntry: git tag v{version}")
    return version


def built(folder: Path, epoch: int) -> list[Path]:
    """Return wheel and source archive of the commit, built from its files alone."""
    source = folder / "source"
    source.mkdir(parents=True)
    run("git", "archive", "--output", str(folder / "source.tar"), "HEAD")
    with tarfile.open(folder / "source.tar") as archive:
        archive.extractall(source, filter="data")
    whence = os.environ | {"SOURCE_DATE_EPOCH": str(epoch)}
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source), env=whence)
    level(next(folder.glob("*.tar.gz")), epoch)
    return sorted([*folder.glob("*.whl"), *folder.glob("*.tar.gz")])


def level(path: Path, epoch: int) -> None:
    """Take out of a source archive who made it and when: setuptools leaves both in."""
    with tarfile.open(path) as archive:
        members = [(one, archive.extractfile(one) if one.isfile() else None) for one in archive]
        members = [(one, content and content.read()) for one, content in members]
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", mtime=epoch, fileobj=file) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for one, content in sorted(members, key=lambda member: member[0].name):
            plain = tarfile.TarInfo(one.name)
            plain.type, plain.size, plain.mtime = one.type, one.size, epoch
            plain.mode = 0o755 if one.isdir() or one.mode & 0o100 else 0o644
            archive.addfile(plain, None if content is None else io.BytesIO(content))


def installed(wheel: Path, folder: Path) -> Path:
    """Return the Python of a new environment with the wheel and the constraints of this Python, hashes required."""
    venv.create(folder, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = (sys.executable, "-m", "pip", "--python", str(python))
    pins = PINS / f"constraints-{sys.version_info.major}.{sys.version_info.minor}.txt"
    run(*pip, "install", "--quiet", "--require-hashes", "-r", str(pins))
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    run(*pip, "check")
    return python


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def git(*words: str) -> str:
    """Return what git says."""
    return run("git", *words)


def tool(*words: str, given: str | None = None) -> str:
    """Run a tool that lies beside this Python."""
    return run(str(Path(sys.executable).with_name(words[0])), *words[1:], given=given)


def run(*words: str, given: str | None = None, env: dict[str, str] | None = None) -> str:
    """Return what a command says on stdout; leave with what it said when it fails."""
    done = subprocess.run(words, cwd=ROOT, input=given, env=env, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(words)} failed\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            release(ROOT / "dist")
        case ["pin"]:
            pin()
        case _:
            sys.exit(__doc__)
