"""Every block of code of every page runs, or says why it can not; whole pages run as a reader would follow them."""

import json
import re
import tomllib
from collections import Counter
from typing import NamedTuple

import pytest
import yaml
from documents import CODE, blocks, pages
from fake_prometheus import prometheus
from processes import free_port
from shell import run_page
from test_documents import DOCUMENTS


class Page(NamedTuple):
    """What a page takes for granted, what is put in the place of its words, and what it leaves in the folder."""

    leaves: set[str]
    before: str = ""
    replace: dict[str, str] = {}  # noqa: RUF012 - nobody changes it
    environ: dict[str, str] = {}  # noqa: RUF012


USAGE = "gymjax generate --out usage.csv --series 6 --days 10"
FIRST = (
    "gymjax train -m mlp --data usage.csv --target cpu_cores --context 24 --horizon 6 --epochs 1 "
    "--name a data.stride=9 model.hidden=[16] evaluate.baselines=[last]"
)
SHORT = {"GYMJAX_TRAIN_EPOCHS": "1", "GYMJAX_DATA_STRIDE": "9", "GYMJAX_EVALUATE_BASELINES": "[last]"}
WHOLE = {
    "README": Page(
        {
            "usage.csv",
            "allocation.yaml",
            "cpu.csv.gz",
            "gymjax.yaml",
            "forecast.parquet",
            "first.html",
            "model",
            "runs",
        },
        "gymjax generate --out all.csv --series 4 --days 21\ncut -d, -f1-3 all.csv > usage.csv\nrm all.csv",
        {"python3 -m venv .venv && .venv/bin/pip install -q .": "mkdir -p .venv/bin; ln -s $(which gymjax) .venv/bin/"},
        SHORT,
    ),
    "docs/features": Page({"runs"}, environ=SHORT),
    "docs/index": Page({"cpu.csv.gz", "runs"}, "gymjax generate --out cpu.csv.gz --series 6 --days 16", environ=SHORT),
    "docs/bench": Page(
        {"bench.png", "cpu.parquet"},
        "gymjax generate --out cpu.parquet --series 3 --days 4",
        {
            "gymjax bench   ": "gymjax bench --placement one --compile safe --seconds 0.1 -m mlp ",
            "--placement one --placement cores --compile safe --compile fast": "--seconds 0.1 --placement one",
            "gymjax bench -m lstm --batch-size 128": "gymjax bench -m mlp --batch-size 128",
            "bench -m transformer": "bench --placement one --compile safe --batch-size 8 --seconds 0.1 -m transformer",
            "--seconds 3": "--placement one --compile safe --batch-size 8 --seconds 0.1",
            "bench -m lstm --data": "bench --placement one --compile safe --batch-size 8 --seconds 0.1 -m mlp --data",
            "batch_sizes=[256])": "batch_sizes=[8], compiles=['safe'], seconds=0.1)",
            "model=lstm": "model=mlp",
        },
    ),
    "docs/export": Page(
        {"usage.csv", "recent.csv", "runs", "model", "model2"},
        f"{USAGE}\ncp usage.csv recent.csv\n{FIRST}",
    ),
    "docs/monitor": Page(
        {"usage.csv", "runs", "token"},
        f"{USAGE}\n{FIRST}",
        {"/data/runs": "runs", "MACHINE": "127.0.0.1"},
        {"BROWSER": "true"},
    ),
    "docs/prometheus": Page({"cpu.parquet", "runs", "recommendations.yaml"}, environ=SHORT),
    "docs/quality": Page(
        {"usage.csv", "runs", "new.parquet"},
        f"{USAGE}\ngymjax data convert usage.csv --out new.parquet\n{FIRST}",
    ),
    "docs/scaling": Page(
        {"usage.csv.gz", "usage.parquet", "usage", "runs"},
        "for ending in csv.gz parquet; do gymjax generate --out usage.$ending --series 3 --days 3; done",
        {"10.0.0.1:7777": f"127.0.0.1:{free_port()}", "--model lstm": "--model mlp"},
        SHORT,
    ),
    "docs/serve": Page(
        {"usage.csv", "runs", "exports", "forecast.parquet"},
        f"{USAGE}\n{FIRST}\ngymjax calibrate a\ngymjax export a --out exports/b --no-onnx",
    ),
    "docs/tutorials/resume": Page({"runs"}),
    "docs/tutorials/serving": Page({"usage.csv", "runs", "models", "server.log", "forecast.parquet"}),
    "docs/tutorials/prometheus": Page({"cpu.parquet", "runs", "patch.yaml", "vpa.yaml"}),
    "docs/tutorials/scaling-out": Page({"usage.parquet", "usage", "pair.log", "runs", "model", "forecasts"}),
}
"""Pages that are run in a shell, from the first block to the last."""
ELSEWHERE = {
    ("CONTRIBUTING", "sh"): 2,  # tests/test_release.py, in a copy
    ("docs/changes/new-model", "python"): 8,  # tests/test_walks.py, in a copy
    ("docs/changes/new-model", "sh"): 1,
    ("docs/changes/new-policy", "python"): 3,
    ("docs/changes/new-policy", "sh"): 1,
    ("docs/batch", "python"): 2,  # tests/inference/test_batches.py, with the extra
    ("docs/data", "sh"): 2,  # tests/test_documents.py, the public traces too
    ("docs/faq", "sh"): 10,  # tests/test_site.py
    ("docs/plugins", "sh"): 1,  # tests/test_plugin_template.py
    ("docs/plugins", "python"): 1,
    ("docs/report", "python"): 1,  # tests/report/test_viz.py, with the extra
    ("docs/tracking", "sh"): 1,  # tests/test_documents.py, with the extra
}
"""How many blocks of a page a test of their own runs."""
DATA = {"yaml": yaml.safe_load, "json": json.loads, "toml": tomllib.loads}
"""Blocks of these kinds are read."""
NOT_RUN = {
    "CONTRIBUTING": 1,
    "docs/bench": 1,
    "docs/monitor": 1,
    "docs/tracking": 1,
    "docs/tutorials/prometheus": 1,
    "docs/tutorials/scaling-out": 1,
}
"""How many blocks of a page are marked as such that can not run here."""


def why_not(block):
    """Return why no test runs a block, or None."""
    if block.kind in DATA:
        return None if isinstance(DATA[block.kind](block.text), dict) else "it holds no keys"
    if not block.runs or block.page in WHOLE:
        return None
    if block.page not in DOCUMENTS:
        return "no test runs the page"
    if block.kind == "sh":
        odd = [line for line in block.lines if not line.startswith("gymjax ")]
        return f"only commands of gymjax are run there: {odd[0]}" if odd else None
    return None if ">>> " in block.text else "only examples with >>> are run there"


def test_every_block_of_every_page_is_run():
    found = [block for name in pages() for block in blocks(name)]
    left = [block for block in found if why_not(block)]
    assert not [(one.page, one.line, why_not(one)) for one in left if (one.page, one.kind) not in ELSEWHERE]
    assert Counter((one.page, one.kind) for one in left) == ELSEWHERE
    kinds = {block.kind for block in found} - {*CODE, "text", "", "{toctree}", "{image}"}
    assert not kinds, "kinds of blocks that nobody knows whether to run"
    assert Counter(block.page for block in found if block.mark.startswith("not run: ")) == NOT_RUN
    assert not [block for block in found if block.mark and not re.match(r"not run: \w|ci: |results: ", block.mark)]
    assert not ({*WHOLE, *DOCUMENTS} - set(pages()))


@pytest.mark.posix
@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_a_page_runs_as_a_reader_would_follow_it(name, tmp_path):
    page, folder = WHOLE[name], tmp_path / "reader"
    folder.mkdir()
    with prometheus() as url:
        replace = page.replace | ({"http://prometheus:9090": url} if name.endswith("prometheus") else {})
        run_page(name, folder, before=page.before, replace=replace, environ=page.environ)
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == page.leaves
