"""Make the artefact of the present schema: python tests/inference/artefacts/make.py v2 (once, when a schema is new)."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1])]


def main(name):
    """Train a tiny run with everything in it, export it, and note what it answers."""
    import numpy as np
    from made_runs import trained

    from gym_jax.inference import load_export
    from gym_jax.inference.frame import series_of_panel
    from gym_jax.run.calibrate import calibrate_run
    from gym_jax.run.export import export_run
    from gym_jax.run.load import load_run

    with tempfile.TemporaryDirectory() as root:
        run = trained(
            Path(root), "run", "model.hidden=4", "data.known=[job]", "data.static=[size]", "data.categories=[tier]",
            "data.calendar=[hour]", "data.lags=[5]", "loss=quantiles", "train.seed=1", model="lstm",
        )  # fmt: skip
        calibrate_run(run, method="series", levels=(0.8,))
        shutil.rmtree(HERE / name, ignore_errors=True)
        export_run(run, HERE / name, onnx=False)
        model = load_export(HERE / name, "numpy")
        asked = [
            one._replace(values=np.round(np.nan_to_num(one.values[-24:], nan=20.0), 3))
            for one in series_of_panel(model.spec, load_run(run).prepared.panel)
        ][:2]
        asked.append(asked[0]._replace(id="nobody"))
    said = [
        {
            "values": answer.values.tolist(),
            "quantiles": answer.quantiles.tolist(),
            "intervals": answer.intervals.tolist(),
            "times": [str(time) for time in answer.times],
        }
        for answer in model.predict(asked)
    ]
    questions = [
        {**one._asdict(), "values": one.values.tolist(), "last": str(one.last), "future": one.future.tolist()}
        for one in asked
    ]
    (HERE / f"{name}.json").write_text(json.dumps({"asked": questions, "answers": said}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
