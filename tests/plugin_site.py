"""Packages that are installed for a test: metadata with entry points, and one module."""

import importlib
import sys

import pytest

from gym_jax import plugins
from gym_jax.config import keys


def forget():
    """What was found before is looked for anew."""
    importlib.invalidate_caches()
    plugins.scan.cache_clear()
    keys._of_kind.cache_clear()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a package: `install("waves", source, models={"wave": "Wave"})`."""
    monkeypatch.delenv(plugins.SWITCH, raising=False)
    place = tmp_path / "site"
    place.mkdir()
    monkeypatch.syspath_prepend(place)
    before = set(sys.modules)

    def install(package, source, version="1.0", **groups):
        (place / f"{package}.py").write_text(source)
        info = place / f"{package}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        lines = []
        for group, things in groups.items():
            lines += [f"[gym_jax.{group}]", *(f"{name} = {package}:{thing}" for name, thing in things.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        forget()

    yield install
    for name in set(sys.modules) - before:
        if str(place) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    monkeypatch.undo()
    forget()
