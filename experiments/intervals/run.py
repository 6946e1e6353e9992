"""Do calibrated intervals hold on machines whose load changes from week to week?

python experiments/intervals/run.py [--smoke] [SPAN ...]
"""

import os
import sys
import tempfile
from pathlib import Path

from gym_jax.cli.show import percent, print_table
from gym_jax.config.load import load_config
from gym_jax.run.calibrate import calibrate_run
from gym_jax.run.train import train_run

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("GYMJAX_DATA", ROOT.parent / "shared" / "data"))
LEVELS = "[0.005,0.025,0.05,0.1,0.25,0.5,0.75,0.9,0.95,0.975,0.995]"
BITBRAINS = ["data.target=[cpu_cores]", "task.context=96"]
SPANS = {
    "24 machines": ["data.path=bitbrains/bitbrains_24vms_30d.csv.gz", *BITBRAINS, "data.stride=4", "train.epochs=8"],
    "200 machines": [
        "data.path=bitbrains/bitbrains_rnd_200vms.parquet",
        *BITBRAINS,
        *("data.stride=24", "train.epochs=4", "data.policy.short=drop", "train.batch_size=512"),
    ],
    "PlanetLab": [
        "data.path=planetlab/planetlab_7days.parquet",
        *("data.target=[cpu_pct]", "data.split.kind=series", "data.split.group='[^/]+$'", "task.context=48"),
        *("data.stride=16", "train.epochs=5", "train.batch_size=512"),
    ],
}
HEADS = {"quantiles": ["loss=quantiles", f"loss.levels={LEVELS}"], "gaussian": ["loss=gaussian"], "point": ["loss=mae"]}
METHODS = ("adaptive", "series", "global")


def main(smoke: bool) -> None:
    """Train each head on each span, calibrate it in three ways, and print how often the intervals held."""
    rows = []
    chosen = [word for word in sys.argv[1:] if word in SPANS] or list(SPANS)
    spans = {span: SPANS[span] for span in (chosen[:1] if smoke else chosen)}
    with tempfile.TemporaryDirectory() as folder:
        for span, words in spans.items():
            for head, loss in HEADS.items():
                path, *others = words
                name, _, file = path.partition("=")
                short = ["train.epochs=1", "data.stride=50"] if smoke else []
                overrides = [f"{name}={DATA / file}", *others, *loss, *short, "model=mlp", "evaluate.baselines=[]"]
                result = train_run(load_config([], overrides, {}), folder=Path(folder) / span / head)
                found = calibrate_run(result.folder, compare=True)["intervals"]
                for method in METHODS:
                    (blocks,) = found[method].values()
                    rows += [(span, head, method, *_row(block)) for block in blocks]
    print_table(("span", "head", "method", "level", "held", "sd", "worst", "width", "interval score"), rows)


def _row(block: dict) -> tuple:
    shares = (block["level"], block["coverage"], block["sd"], block["worst"]["coverage"])
    return (*map(percent, shares), block["width"], block["interval_score"])


if __name__ == "__main__":
    main("--smoke" in sys.argv[1:])
