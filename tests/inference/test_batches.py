"""An export as a function of frames: alone, in any cuts, and called by Ray and Spark as the documentation says."""

import functools
import logging
import os
import shutil
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import ROOT
from documents import blocks
from made_runs import shared, write_frame

from gym_jax.errors import CheckpointError, ConfigError, DataError
from gym_jax.inference import batches, load_export
from gym_jax.inference.batches import answer_types, predict_batch, predict_batches
from gym_jax.inference.frame import predict_file


@pytest.fixture(scope="module")
def export():
    return shared() / "export"


@pytest.fixture(scope="module")
def usage(tmp_path_factory):
    path = write_frame(tmp_path_factory.mktemp("batches") / "usage.csv", series=9)
    return pd.read_csv(path, parse_dates=["ds"])


@pytest.fixture(scope="module")
def wanted(export, usage, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "usage.parquet"
    usage.to_parquet(path, index=False)
    return predict_file(load_export(export, "numpy"), path)


def same(found, wanted):
    found = found.sort_values(["unique_id", "step"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(found, wanted, rtol=1e-6, check_dtype=False)


def test_a_frame_and_a_table_are_answered_as_a_file(export, usage, wanted):
    same(predict_batch(usage, model=export, backend="numpy"), wanted)
    table = predict_batch(pa.Table.from_pandas(usage), model=export, backend="numpy")
    assert isinstance(table, pa.Table)
    same(table.to_pandas(), wanted)


@pytest.mark.parametrize("rows", [50, 320, 333, 5000])
def test_frames_that_follow_each_other_may_be_cut_anywhere(rows, export, usage, wanted):
    cut = [usage.iloc[begin : begin + rows] for begin in range(0, len(usage), rows)]
    found = list(predict_batches([cut[0].iloc[:0], *cut], model=export, backend="numpy"))
    same(pd.concat(found), wanted)
    assert len(found) == {50: 9, 320: 9, 333: 9, 5000: 2}[rows]
    assert not list(predict_batches([], model=export))


def test_a_series_that_can_not_be_answered_is_refused_or_left_out(export, usage, wanted, caplog):
    bad = usage.copy()
    bad.loc[bad.index[bad["unique_id"] == "m3"][7], "cpu"] = np.inf
    with pytest.raises(DataError, match="infinite"):
        predict_batch(bad, model=export, backend="numpy")
    with caplog.at_level(logging.WARNING):
        found = predict_batch(bad, model=export, backend="numpy", on_error="skip")
    same(found, wanted[wanted["unique_id"] != "m3"].reset_index(drop=True))
    assert "series m3 is not answered" in caplog.text
    none = predict_batch(bad[bad["unique_id"] == "m3"], model=export, backend="numpy", on_error="skip")
    assert not len(none)
    assert list(none) == list(wanted)


def test_no_row_is_answered_by_the_columns_alone(export, usage, wanted):
    found = predict_batch(usage.iloc[:0], model=export)
    assert found.dtypes.to_dict() == wanted.dtypes.to_dict()
    kinds = "`unique_id` string, `ds` timestamp, `step` bigint, `cpu` double"
    assert answer_types(export, zone=True) == kinds


def test_an_export_is_opened_once_and_again_when_it_was_replaced(export, usage, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(batches, "load_export", lambda *words: opened.append(words) or load_export(*words))
    batches._open.cache_clear()
    path = tmp_path / "export"
    shutil.copytree(export, path)
    for _ in range(3):
        predict_batch(usage, model=path, backend="numpy")
    assert len(opened) == 1
    os.utime(path / "manifest.json", (1, 1))
    predict_batch(usage, model=path, backend="numpy")
    assert len(opened) == 2
    with pytest.raises(CheckpointError, match="no export"):
        predict_batch(usage, model=tmp_path)
    with pytest.raises(ConfigError, match="no column `unique_id`"):
        list(predict_batches([usage.rename(columns={"unique_id": "name"})], model=path))


def page(name, folder, usage, export):
    """Return the block of the document that imports `name`, about these files; what it reads is there."""
    (folder / "usage").mkdir()
    usage.to_parquet(folder / "usage" / "part-0.parquet", index=False)
    [block] = [one for one in blocks("docs/batch") if f"import {name}" in one.text or f"from {name}" in one.text]
    found = block.text.replace("/models/cpu", str(export)).replace('"usage/"', f'"{folder}/usage"')
    return found.replace('"forecasts', f'"{folder}/forecasts')


@pytest.mark.extras
@pytest.mark.filterwarnings("ignore")  # of Ray about itself
def test_ray_calls_it_for_groups_of_series(export, usage, wanted, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    import ray
    import ray.data

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else a token is written into the home folder
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=80 * 1024**2, log_to_driver=False)
    try:
        answer = functools.partial(predict_batch, model=str(export), backend="numpy")
        data = ray.data.from_pandas(usage)
        data = data.add_column("bucket", lambda batch: batch["unique_id"].map(lambda name: sum(name.encode()) % 3))
        found = data.groupby("bucket").map_groups(answer, batch_format="pandas").to_pandas()
        whole = ray.data.from_pandas(usage).map_batches(answer, batch_format="pyarrow", batch_size=None).to_pandas()
        exec(page("ray", tmp_path, usage, export), {})
    finally:
        ray.shutdown()
    for one in (found, whole, pd.read_parquet(tmp_path / "forecasts")):
        same(one, wanted)


@pytest.mark.extras
@pytest.mark.filterwarnings("ignore")  # of Spark about itself
def test_spark_calls_it_for_groups_and_for_partitions(export, usage, wanted, tmp_path, monkeypatch):
    pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as f

    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "500")
        .getOrCreate()
    )
    try:
        data, kinds = spark.createDataFrame(usage), answer_types(export, zone=True)
        answer = functools.partial(predict_batch, model=str(export), backend="numpy")
        several = functools.partial(predict_batches, model=str(export), backend="numpy")
        grouped = data.groupBy((f.hash("unique_id") % 3).alias("bucket")).applyInPandas(
            lambda part: answer(part), kinds
        )
        sorted_ = data.repartition(2, "unique_id").sortWithinPartitions("unique_id", "ds")
        parted = sorted_.mapInPandas(lambda parts: several(parts), kinds)
        for found in (grouped.toPandas(), parted.toPandas()):
            same(found.assign(ds=pd.to_datetime(found["ds"]).dt.tz_localize("UTC")), wanted)
        exec(page("pyspark", tmp_path, usage, export), {"spark": spark})
        for name in ("forecasts", "forecasts-of-parts"):
            found = pd.read_parquet(tmp_path / name)
            same(found.assign(ds=pd.to_datetime(found["ds"], utc=True)), wanted)
    finally:
        spark.stop()
