"""The pages that are made of the code: every command, setting, public name, exit code and error."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

import gym_jax
from gym_jax.cli import app
from gym_jax.cli.codes import Explanation, load_explanations
from gym_jax.config.keys import Key, vocabulary, written
from gym_jax.config.schema import Config
from gym_jax.errors import EXIT_CODES

PACKAGES = {
    "gym_jax": "What is used most: configurations, runs, step functions and what they take.",
    "gym_jax.data": "From files and frames to panels, windows and samples.",
    "gym_jax.models": "Pure Flax Linen modules.",
    "gym_jax.ops": "Kernels on arrays, each beside its plain twin.",
    "gym_jax.losses": "Elementwise losses, and the heads that go with them.",
    "gym_jax.metrics": "Scores as sums that merge.",
    "gym_jax.optim": "Optimisers and schedules by name.",
    "gym_jax.train": "State, step, epoch, placement, loop, checkpoint.",
    "gym_jax.allocate": "Policies of allocation, walked forward and compared at equal violation.",
    "gym_jax.inference": "Forecasts of an exported model, without JAX.",
    "gym_jax.report": "Every plot as a function.",
    "gym_jax.run": "Runs as functions: what the commands call.",
    "gym_jax.serve.client": "A client of `gymjax serve`.",
    "gym_jax.laws": "What every model, loss and policy must obey; for the tests of plug-ins.",
    "gym_jax.plugins": "What other packages add.",
    "gym_jax.types": "The few types that everything passes on.",
    "gym_jax.errors": "What is raised, with its exit code.",
}
"""Public packages and modules, and what is in each."""
RUN = (
    *("train:train_run,resume_run,find_resumable", "evaluate:evaluate_run", "predict:predict_run"),
    *("compare:compare_runs", "calibrate:calibrate_run", "explain:explain_run", "anomalies:find_anomalies"),
    *("report:report_runs", "export:export_run", "drift:drift_run", "backtest:backtest"),
    *("allocation:train_allocation,recommend_run", "allocate:read_workloads,simulate_data", "load:load_run"),
)
"""What of `gym_jax.run` is public: module and names."""
TRAIN = (
    *("step:init_state,make_train_step,make_eval_step", "loop:Position,Progress,train"),
    *("parallel:Layout,make_layout,make_epoch,make_evaluation,make_forecast", "compile:jit"),
    *("many:Pack,make_many_epoch,member,stack", "average:evaluation_variables", "find_rate:find_rate"),
    "checkpoint:save_checkpoint,restore_checkpoint,read_metadata,saved_steps,find_damage",
)
"""What of `gym_jax.train` is public."""
BEGINS = {
    "gym_jax.data": """
import pandas as pd
panel = generate_panel(series=2, days=2, gaps=0)
split = split_by_time(panel)
values = np.arange(8.0).reshape(4, 1, 2)
seen, shares = np.ones((4, 1, 2), bool), np.arange(4.0)[:, None]
cases = Cases(("load", "queue"), values, seen, target_names=("share",), targets=shares)
""",
    "gym_jax.models": """
inputs = gym_jax.Inputs(past=jnp.arange(4 * 24 * 2.0).reshape(4, 24, 2))
""",
    "gym_jax.ops": """
qkv = jnp.ones((1, 4, 2, 3 * 8))
x, kernel, recurrent, bias = jnp.ones((5, 1, 3)), jnp.ones((3, 8)), jnp.ones((2, 8)), jnp.zeros(8)
""",
    "gym_jax.metrics": """
forecast, truth = np.array([1.0, 2.0, 6.0]), np.array([2.0, 2.0, 4.0])
totals = measure(forecast, truth, np.ones(3, bool), np.zeros(3, int), groups=1)
""",
    "gym_jax.optim": """
import optax
params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}


@functools.partial(jax.jit, static_argnums=0)
def step_of(tx, params):  # one step along a gradient of ones
    gradient = jax.tree.map(jnp.ones_like, params)
    updates, _ = tx.update(gradient, tx.init(params), params)
    return optax.apply_updates(params, updates)


def stepped(tx):
    return {name: round(float(leaf.mean()), 3) for name, leaf in step_of(tx, params).items()}
""",
    "gym_jax.train": """
import optax
panel = gym_jax.data.generate_panel(series=2, days=1)
rows = gym_jax.data.split_by_time(panel).train
origins, series = gym_jax.data.origins(panel, rows, context=12, horizon=2, stride=8)
scaler = gym_jax.data.fit_scaler(panel, rows)
examples = gym_jax.data.make_windows(panel, scaler, origins, series, context=12, horizon=2)
order = gym_jax.data.sequential(len(examples), 16)
batch = jax.jit(examples.take)(jnp.arange(4))
model, tx, layout = gym_jax.Linear(horizon=2, normalise="none"), optax.sgd(0.01), make_layout("one")
begin = jax.jit(functools.partial(init_state, model, tx))
start = begin(jax.random.key(0), batch.inputs)
epoch = make_epoch(functools.partial(make_train_step, model, gym_jax.losses.mae, tx), layout)
""",
    "gym_jax.allocate": """
hour = 3_600 * 10**9
usage = 1 + 0.5 * np.sin(np.arange(24 * 14) * 2 * np.pi / 24)
web = Workload("web", usage, first=0, step=hour)
used, given = np.array([1.0, 2.0, 4.0, 1.0]), np.array([2.0, 2.0, 3.0, 2.0])
outcome = Outcome("web", used, given, day=np.zeros(4), step=hour)
policies = {"max": make_policy("max"), "vpa": make_policy("vpa")}
simulation = simulate([web], policies, Protocol(test_days=2, val_days=2, risks=(0.05,)))
""",
    "gym_jax.plugins": """
import os
from importlib.metadata import EntryPoint
""",
}
"""What the examples of a page begin with, beside its names and what `COMMON` imports."""
NOTATION = """
Types are written shortly: `Float[Array, 'batch horizon targets']` is an array of floats with these axes (jaxtyping's
notation; `Array` is JAX's, `ndarray` NumPy's), `float['> 0, < 1']` a number in this range. Errors are named where they
are raised; [their exit codes](../exit-codes.md) are those of the commands. Every page says what its examples begin
with, and the tests run them.
""".strip()
COMMON = """
import functools
import gym_jax
import jax
import jax.numpy as jnp
import numpy as np
"""


def write_pages(folder: Path) -> None:
    """Write the pages into a folder; those that are already as they should be are left alone."""
    pages = {"commands": commands(), "settings": settings(), "exit-codes": exit_codes(), "errors": errors()}
    pages |= {f"api/{name}": api(name, words) for name, words in PACKAGES.items()}
    pages["api/index"] = listing("Public names", list(PACKAGES.items()), NOTATION)
    for name, text in pages.items():
        path = folder / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def commands() -> str:
    """Return every command with its arguments and options, as `--help` has them."""
    root = typer.main.get_command(app)
    parts = ["# Commands", "What `gymjax COMMAND --help` says, of every command.", ""]
    for words, command in _walk("gymjax", root):
        parts += [f"## `{words}`", "", _plain(command.help or ""), "", "```text", _usage(words, command), "```", ""]
        rows = [_row(parameter) for parameter in command.params if parameter.name != "help"]
        if rows:
            parts += ["| | default | |", "| --- | --- | --- |", *rows, ""]
    return "\n".join(parts)


def _walk(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    for name, one in inner.items():
        yield from _walk(f"{words} {name}", one)


def _usage(words: str, command: Any) -> str:
    arguments = [_argument(one) for one in command.params if one.param_type_name == "argument"]
    return " ".join([words, *arguments, "[OPTIONS]"])


def _argument(parameter: Any) -> str:
    word = (parameter.metavar or parameter.name).upper() + ("..." if parameter.nargs == -1 else "")
    return word if parameter.required else f"[{word}]"


def _row(parameter: Any) -> str:
    """Return one argument or option as a row of a table."""
    if parameter.param_type_name == "argument":
        name, shown = f"`{parameter.name.upper()}`", "required" if parameter.required else ""
    else:
        name = ", ".join(f"`{flag}`" for flag in [*parameter.opts, *parameter.secondary_opts])
        shown = "" if parameter.default in (None, False, ()) or callable(parameter.default) else parameter.default
        if isinstance(parameter.show_default, str):
            shown = parameter.show_default
    kind = parameter.type_descriptor.annotation
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    kinds = f" One of {', '.join(f'`{one}`' for one in choices)}." if choices else ""
    return f"| {name} | {_cell(shown)} | {_cell(_plain(parameter.help or ''))}{kinds} |"


def settings() -> str:
    """Return every setting with its type, its default and what it means, section by section."""
    parts = ["# Settings", "Every key of a configuration file, and of `key=value` on the command line.", ""]
    for section in Config.model_fields:
        keys = [key for key in vocabulary() if key.path.partition(".")[0] == section]
        parts += [f"## `{section}`", ""]
        for kind in dict.fromkeys(key.kind for key in keys):
            own = [key for key in keys if key.kind == kind]
            parts += [f"### `{section}={kind}`", ""] if kind else []
            parts += ["| key | type | default | |", "| --- | --- | --- | --- |", *map(_setting, own), ""]
    return "\n".join(parts)


def _setting(key: Key) -> str:
    return f"| `{key.path}` | {_cell(key.type)} | {_cell(f'`{written(key.default)}`')} | {_cell(key.doc)} |"


def exit_codes() -> str:
    """Return what each exit code means."""
    rows = [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join(["# Exit codes", "", "| code | |", "| --- | --- |", *rows, ""])


def begin_of(name: str) -> str:
    """Return the code that the examples of a page rest on."""
    chosen = {"gym_jax.run": RUN, "gym_jax.train": TRAIN}.get(name, ())
    names = [f"from {name}.{one.replace(':', ' import ').replace(',', ', ')}" for one in chosen]
    return COMMON + "\n".join(names or [f"from {name} import *"]) + BEGINS.get(name, "")


def errors() -> str:
    """Return what the code of every error means, area by area, as `gymjax explain CODE` says it."""
    parts = ["# Errors", "", "What `gymjax explain CODE` says. The code is told by `--debug`, `--json` and logs.", ""]
    explained = load_explanations()
    for area in dict.fromkeys(code.partition(".")[0] for code in explained):
        parts += [f"## {area}", ""]
        for one in explained.values():
            parts += _explained(one) if one.code.partition(".")[0] == area else []
    return "\n".join(parts)


def _explained(one: Explanation) -> list[str]:
    ways = [f"- {way.how}" + (f":\n  ```sh\n  {way.attempt}\n  ```" if way.attempt else "") for way in one.ways]
    what = f"{one.what[0].upper()}{one.what[1:]}. E{one.exits()[1:]}."
    return [f"### `{one.code}`", "", what, "", one.why, "", *ways, ""]


def api(name: str, words: str) -> str:
    """Return the page of a package: every public name, from its docstring."""
    shown = [thing for _, thing in public_names(name) if ">>>" in (inspect.unwrap(thing).__doc__ or "")]
    if name == "gym_jax":
        begin = ["What examples begin with stands on the page of the package that a name is of.", ""]
    elif shown and name != "gym_jax.serve.client":
        begin = ["Its examples begin with", "", "```python", *begin_of(name).strip().splitlines(), "```", ""]
    else:
        begin = []
    parts = [f"# `{name}`", "", words, "", *begin, "```{eval-rst}"]
    elsewhere = (
        [thing for one in PACKAGES if one != name for _, thing in public_names(one)] if name == "gym_jax" else []
    )
    for path, thing in public_names(name):
        twice = any(thing is one for one in elsewhere)  # links lead to the page of its own package
        parts += [
            f".. auto{'class' if inspect.isclass(thing) else 'function'}:: {path}",
            *["   :no-index:"] * twice,
            "",
        ]
    return "\n".join([*parts, "```", ""])


def public_names(name: str) -> list[tuple[str, Any]]:
    """Return the public names of a package with what they are, in the order in which it has them."""
    chosen = {"gym_jax.run": RUN, "gym_jax.train": TRAIN}.get(name)
    if chosen is not None:
        split = [(module, names.split(",")) for module, _, names in (entry.partition(":") for entry in chosen)]
        paths = [f"{name}.{module}.{one}" for module, names in split for one in names]
        return [(path, getattr(import_module(path.rpartition(".")[0]), path.rpartition(".")[2])) for path in paths]
    module = import_module(name)
    if name == "gym_jax.report":
        return [(f"{thing.__module__}.{thing.__name__}", thing) for thing in module.PLOTS.values()]
    own = [one for one, thing in vars(module).items() if getattr(thing, "__module__", None) == name and one[0] != "_"]
    found = [(f"{name}.{one}", getattr(module, one)) for one in getattr(module, "__all__", own)]
    return [(path, thing) for path, thing in found if inspect.isclass(thing) or inspect.isroutine(thing)]


def listing(title: str, rows: list[tuple[str, str]], words: str) -> str:
    """Return a page that leads to others, below some words."""
    lines = [f"| [`{name}`]({name}.md) | {words} |" for name, words in rows]
    tree = ["```{toctree}", ":hidden:", "", *(name for name, _ in rows), "```", ""]
    return "\n".join([f"# {title}", "", words, "", "| | |", "| --- | --- |", *lines, "", *tree])


def _plain(text: str) -> str:
    """Return a help text as one paragraph after the other, without the line breaks of the source."""
    return "\n\n".join(" ".join(part.split()) for part in text.replace("\b", "").split("\n\n"))


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    write_pages(Path(__file__).parent / "reference")
    print(f"gym_jax {gym_jax.__version__}: the pages of the code are in docs/reference")
