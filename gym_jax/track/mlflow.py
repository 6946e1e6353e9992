"""MLflow: a run of an experiment, in a SQLite file beside the run folders unless a server or file is named."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gym_jax.track.tracker import Ending, Place, Point, defaults_in_environment

BATCH = 100
"""Parameters, or metrics, of one call; MLflow takes no more parameters."""
LONGEST = 6000
"""Characters of a parameter."""
STATUS = {"done": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
CURVES = ("epoch", "running/loss")
"""Of these one is in every point."""


class MLflow:
    """A run, through MLflow's client alone: nothing of what the process does with MLflow itself is touched."""

    def __init__(self, place: Place, state: Mapping[str, Any]) -> None:
        self.place = place
        self.id: str | None = state.get("id")

    def start(self) -> int:
        """Begin, or go on with the run of the same id if it is there; return its last step."""
        with defaults_in_environment(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_LOGGING_LEVEL="WARNING"):
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient

            beside = self.place.folder.parent
            uri, files = self.place.mlflow_uri, None
            if uri is None:
                uri, files = f"sqlite:///{beside / 'mlflow.db'}", (beside / "mlflow-files").as_uri()
            self.client = MlflowClient(tracking_uri=uri)
        if self.id is not None:
            try:
                self.client.update_run(self.id, status="RUNNING")
                known = [self.client.get_metric_history(self.id, curve) for curve in CURVES]
                return max((metric.step for curve in known for metric in curve), default=-1)
            except MlflowException:
                self.id = None  # another store, or it was deleted there
        found = self.client.get_experiment_by_name(self.place.project)
        experiment = found.experiment_id if found else self.client.create_experiment(self.place.project, files)
        self.id = self.client.create_run(experiment, run_name=self.place.folder.name).info.run_id
        return -1

    def hparams(self, settings: Mapping[str, Any]) -> None:
        """Log the settings as parameters. These can not change: what a resumed run has otherwise becomes a tag."""
        from mlflow.entities import Param, RunTag

        known = self.client.get_run(self.id).data.params
        words = {key: str(value)[:LONGEST] for key, value in settings.items()}
        new = [Param(key, value) for key, value in words.items() if key not in known]
        tags = [RunTag(f"changed.{key}", value) for key, value in words.items() if known.get(key, value) != value]
        for begin in range(0, len(new), BATCH):
            self.client.log_batch(self.id, params=new[begin : begin + BATCH])
        self.client.log_batch(self.id, tags=tags)

    def log(self, points: Sequence[Point]) -> None:
        """Log points, many in a call."""
        from mlflow.entities import Metric

        metrics = [
            Metric(name, number, round(point.time * 1000), point.step)
            for point in points
            for name, number in point.numbers.items()
        ]
        for begin in range(0, len(metrics), BATCH):
            self.client.log_batch(self.id, metrics=metrics[begin : begin + BATCH])

    def text(self, step: int, name: str, markdown: str) -> None:
        """Keep a text as a file of the run."""
        self.client.log_text(self.id, markdown, f"{name}.md")

    def image(self, step: int, name: str, png: bytes) -> None:
        """Keep a picture as a file of the run."""
        folder, _, last = name.rpartition("/")
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / f"{last}.png"
            path.write_bytes(png)
            self.client.log_artifact(self.id, str(path), folder or None)

    def finish(self, ending: Ending, step: int, scores: Mapping[str, float]) -> None:
        """Log the scores, and end."""
        if scores:
            self.log([Point(step, scores, time.time())])
        self.client.set_terminated(self.id, STATUS[ending])

    def state(self) -> dict[str, Any]:
        """Return the id of the run."""
        return {} if self.id is None else {"id": self.id}
