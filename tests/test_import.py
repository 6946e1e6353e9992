"""`import gym_jax` is light, complete and opens no device; the research use of the README runs."""

import doctest
import importlib
import subprocess
import sys

from conftest import ROOT

import gym_jax


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_import_loads_neither_jax_nor_pandas():
    heavy = "{'jax', 'flax', 'pandas', 'numpy', 'orbax', 'hydra', 'pydantic', 'typer'}"
    assert run_python(f"import sys, gym_jax; print(sorted({heavy} & set(sys.modules)))") == "[]"


def test_help_loads_neither_jax_nor_pandas():
    code = (
        "import sys, contextlib, io\nfrom gym_jax.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()): main(['--help'])\n"
        "print(sorted({'jax', 'flax', 'pandas', 'numpy', 'orbax', 'hydra'} & set(sys.modules)))"
    )
    assert run_python(code) == "[]"


def test_using_the_names_opens_no_device():
    code = (
        "import gym_jax\nfor name in gym_jax.__all__: getattr(gym_jax, name)\n"
        "from jax._src import xla_bridge\nprint(xla_bridge.backends_are_initialized())"
    )
    assert run_python(code) == "False"


def test_every_public_name_resolves_and_is_documented():
    for name in gym_jax.__all__:
        value = getattr(gym_jax, name)
        assert name == "__version__" or value.__doc__, name
    assert dir(gym_jax) == sorted(gym_jax.__all__)


def test_train_is_the_package_whatever_was_asked_for_before(monkeypatch):
    monkeypatch.delattr(gym_jax, "train", raising=False)
    assert gym_jax.train is importlib.import_module("gym_jax.train")


def test_type_checkers_see_the_same_names():
    text = (ROOT / "gym_jax" / "__init__.py").read_text().split("if TYPE_CHECKING:")[1].split("_HOMES")[0]
    for name in gym_jax.__all__:
        assert name == "__version__" or name in text.replace(",", " ").split(), name


def test_readme_research_use_runs():
    result = doctest.testfile(str(ROOT / "README.md"), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert result.attempted >= 5
    assert result.failed == 0
