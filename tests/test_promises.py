"""Every promised noun exists, is tested, and is in the list; nothing is in the list that does not exist."""

import ast
import dataclasses
import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from conftest import ROOT

import gym_jax
from gym_jax import inference, ops
from gym_jax.allocate.outcome import Figures
from gym_jax.allocate.registry import POLICIES
from gym_jax.allocate.simulate import LEARNED
from gym_jax.allocate.usage import Resource
from gym_jax.cli import allocate, app, config, data, models, runs
from gym_jax.cli.candidates import SHELLS
from gym_jax.cli.log import LEVELS, Format
from gym_jax.cli.progress import Style
from gym_jax.config.compose import shipped_names
from gym_jax.config.migrate import SCHEMA_VERSION
from gym_jax.config.schema import Config, Data, Evaluate, Run, Task, Track, Train
from gym_jax.config.sweeps import FORMS
from gym_jax.data.clip import ClipKind
from gym_jax.data.datasets import DATASETS
from gym_jax.data.features import Cycle, Statistic
from gym_jax.data.folds import FOLD_KINDS
from gym_jax.data.formats import FORMATS
from gym_jax.data.impute import ImputeKind
from gym_jax.data.parts import JOB, UNANSWERED, PartFolder
from gym_jax.data.parts import MANIFEST as MANIFEST_OF_PARTS
from gym_jax.data.reading import Aggregate, Policy, TimeUnit
from gym_jax.data.scale import ScaleKind, Scope
from gym_jax.data.split import SplitKind
from gym_jax.data.statistic import WindowStatistic
from gym_jax.data.units import KINDS
from gym_jax.data.write import WRITERS
from gym_jax.errors import EXIT_CODES
from gym_jax.evaluate.conformal import METHODS
from gym_jax.evaluate.gates import OF_INTERVALS
from gym_jax.evaluate.labels import LABEL_METRICS
from gym_jax.evaluate.origins import ERRORS
from gym_jax.evaluate.permute import Kind
from gym_jax.evaluate.resample import Blocks
from gym_jax.evaluate.significance import TESTS, Kernel
from gym_jax.inference.artefact import FILES, MANIFEST
from gym_jax.inference.model import BACKENDS
from gym_jax.inference.networks import NETWORKS
from gym_jax.laws import MODEL_LAWS
from gym_jax.losses import HEAD_LOSSES, LOSSES
from gym_jax.metrics import METRICS
from gym_jax.models.normalise import Normalise
from gym_jax.models.precision import Dtype
from gym_jax.models.registry import MODELS
from gym_jax.ops import KERNELS
from gym_jax.optim import HOST_SCHEDULES, OPTIMISERS, SCHEDULES
from gym_jax.plugins import GROUPS
from gym_jax.pull.presets import PRESETS
from gym_jax.report import PLOTS
from gym_jax.report.interactive import INTERACTIVE
from gym_jax.report.statistical import STATISTICAL
from gym_jax.run.report import PARTS
from gym_jax.serve.api.app import make_app
from gym_jax.serve.api.batch import Batcher
from gym_jax.serve.api.limits import Limits
from gym_jax.serve.api.meters import Meters
from gym_jax.serve.api.shelf import Shelf
from gym_jax.track import CALLS, TRACKERS
from gym_jax.track.tracker import Tracker
from gym_jax.train.average import Weights
from gym_jax.train.compile import COMPILES
from gym_jax.train.many import PACKINGS
from gym_jax.train.parallel import PLACEMENTS
from gym_jax.tune.study import PRUNERS, SAMPLERS

PROMISES = tomllib.loads((ROOT / "tests" / "promises.toml").read_text())


COVARIATES = {"past", "known", "static", "categories", "lags", "rolling", "calendar"}


def command_names():
    single = [c.name or c.callback.__name__ for c in app.registered_commands]
    groups = {"allocate": allocate, "config": config, "data": data, "models": models, "runs": runs}
    assert set(groups) == {group.name for group in app.registered_groups}
    grouped = [
        f"{name} {c.name or c.callback.__name__}" for name, group in groups.items() for c in group.registered_commands
    ]
    return {*single, *grouped}


def options_of(command):
    from typer.main import get_command

    found = get_command(app)
    for word in command.split():
        found = found.commands[word]
    return {name for parameter in found.params for name in parameter.opts if name.startswith("--") and name != "--help"}


def page_parts():
    return set(re.findall(r'data-part="(\w+)"', (ROOT / "gym_jax/serve/static/index.html").read_text()))


def endpoints():
    meters = Meters()
    return {route.path for route in make_app(Shelf({}, meters), Batcher(meters)).routes}


REGISTRIES = {
    "model": set(MODELS),
    "baseline": set(get_args(get_args(Evaluate.model_fields["baselines"].annotation)[0])),
    "normalisation": set(get_args(Normalise)),
    "loss": set(LOSSES | HEAD_LOSSES),
    "optimiser": set(OPTIMISERS),
    "schedule": set(SCHEDULES | HOST_SCHEDULES),
    "weights": set(get_args(Weights)),
    "calibration": set(METHODS),
    "folds": set(FOLD_KINDS),
    "statistic": set(get_args(WindowStatistic)),
    "compute_dtype": set(get_args(Dtype)),
    "train_setting": set(Train.model_fields),
    "track_setting": set(Track.model_fields),
    "tracker": {"jsonl", *TRACKERS},
    "tracker_call": {name for name, value in vars(Tracker).items() if callable(value) and name[0] != "_"},
    "run_setting": set(Run.model_fields),
    "config_section": set(Config.model_fields),
    "schema_version": {str(version + 1) for version in range(SCHEMA_VERSION)},
    "precedence": {"defaults", "files", "environment", "options", "overrides"},
    "progress": set(get_args(Style)),
    "log_format": set(get_args(Format)),
    "log_level": set(LEVELS),
    "completion": set(SHELLS),
    "compared_metric": set(ERRORS),
    "significance": set(TESTS),
    "bootstrap": set(get_args(Blocks)),
    "exchanged": set(get_args(Kind)),
    "variance": set(get_args(Kernel)),
    "metric": {*METRICS, *LABEL_METRICS},
    "task": set(get_args(Task.model_fields["kind"].annotation)),
    "placement": {"auto", *PLACEMENTS},
    "compile": set(COMPILES),
    "kernel": set(KERNELS),
    "operation": {name.removesuffix("_plain") for name in ops.__all__ if name.endswith("_plain")},
    "packing": set(PACKINGS),
    "format": set(FORMATS),
    "written_format": set(WRITERS),
    "policy": {field.name for field in dataclasses.fields(Policy)},
    "time_unit": set(get_args(TimeUnit)),
    "quantity": set(KINDS),
    "aggregate": set(get_args(Aggregate)),
    "split": set(get_args(SplitKind)),
    "scaling": {*get_args(ScaleKind), "log1p"},
    "scope": set(get_args(Scope)),
    "clipping": set(get_args(ClipKind)),
    "imputation": set(get_args(ImputeKind)),
    "rolling": set(get_args(Statistic)),
    "calendar": set(get_args(Cycle)),
    "covariate": COVARIATES & {field.name for field in dataclasses.fields(Data)},
    "portions": {"local", "remote", *({"memory"} & {field.name for field in dataclasses.fields(Data)})},
    "dataset": set(DATASETS),
    "config": set(shipped_names()),
    "allocation_policy": {*POLICIES, LEARNED},
    "allocation_figure": set(Figures._fields),
    "resource": set(get_args(Resource)),
    "plot": set(PLOTS),
    "plugin_group": set(GROUPS),
    "law": set(MODEL_LAWS),
    "statistical_plot": set(STATISTICAL),
    "interactive_plot": set(INTERACTIVE),
    "report_part": set(PARTS),
    "notebook": {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")},
    "command": command_names(),
    "export_option": options_of("export"),
    "export_file": {MANIFEST, *FILES},
    "network": set(NETWORKS),
    "backend": set(BACKENDS),
    "inference_name": set(inference.__all__),
    "predict_option": options_of("predict"),
    "parts_file": {PartFolder(Path("."), 1).part(0).name, JOB, MANIFEST_OF_PARTS, UNANSWERED},
    "train_option": options_of("train") | {"--debug"},
    "launch_option": options_of("launch"),
    "monitor_option": options_of("monitor"),
    "page_part": page_parts(),
    "pull_option": options_of("data pull"),
    "pulled_preset": set(PRESETS),
    "drift_option": options_of("drift"),
    "interval_gate": set(OF_INTERVALS),
    "serve_option": options_of("serve"),
    "endpoint": endpoints(),
    "serve_limit": set(Limits._fields),
    "meter": set(re.findall(r"# TYPE (\w+)", Meters().text(0, []))),
    "deployment": {
        path.name for path in (ROOT / "deploy").rglob("*") if path.suffix in ("", ".yaml", ".sbatch") and path.is_file()
    },
    "tune_option": options_of("tune"),
    "sweep_option": options_of("sweep"),
    "sampler": set(SAMPLERS),
    "pruner": set(PRUNERS),
    "swept_form": set(FORMS),
    "exit_code": {str(code) for code in EXIT_CODES},
    "public_name": set(gym_jax.__all__),
}


@pytest.mark.parametrize("noun", REGISTRIES)
def test_rows_and_registry_name_the_same(noun):
    assert set(PROMISES[noun]) == REGISTRIES[noun]


def test_there_is_no_row_of_an_unknown_noun():
    assert set(PROMISES) == set(REGISTRIES)


def test_every_call_of_a_tracker_is_asked_of_a_plugin():
    assert set(CALLS) == REGISTRIES["tracker_call"]


def rows():
    return sorted({test for noun in PROMISES.values() for test in noun.values()})


@pytest.mark.parametrize("test", rows())
def test_the_test_of_a_row_exists_and_is_not_skipped(test):
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert found, f"{path} has no {name}"
    marks = " ".join(ast.unparse(decorator) for decorator in found[0].decorator_list)
    assert not any(word in marks for word in ("skip", "xfail")), marks
    body = [
        node
        for node in found[0].body
        if not isinstance(node, ast.Pass) and not ast.unparse(node).startswith(("'", '"'))
    ]
    assert body, "a stub"
