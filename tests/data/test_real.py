import numpy as np
import pytest
from tolerances import FLOAT64

from gym_jax.data import read


def stamp(text):
    return int(np.datetime64(text, "ns").astype(np.int64))


@pytest.mark.parametrize(
    ("file", "options", "series", "rows", "missing", "step", "first", "total"),
    [
        (
            "bitbrains/bitbrains_24vms_30d.csv.gz",
            {"target": ["cpu_cores"]},
            24,
            207_360,
            9_307,
            "5min",
            "2013-06-30 22:00",
            324100.3943,
        ),
        ("ett/ETTh1.csv", {"layout": "wide"}, 7, 7 * 17_420, 0, "1h", "2016-07-01", 558256.2369758375),
        ("planetlab/planetlab_7days.parquet", {}, 8_426, 8_426 * 288, 0, "5min", "2011-03-03", 26854458.0),
        ("crane/input0.csv.gz", {}, 1, 11_520, 0, "1min", "2021-08-11", 692136.61344),
        ("nab/ec2_cpu_utilization_24ae8d.csv", {}, 1, 4_032, 0, "5min", "2014-02-14 14:30", 509.254),
        (
            "bitbrains/bitbrains_rnd_200vms.parquet",
            {"target": ["cpu_cores"], "past": ["memory_mib"]},
            200,
            4_876_841,
            284_656,
            "5min",
            "2013-06-30 22:00",
            3049999.9528811006,
        ),
    ],
)
def test_a_real_trace(real_data, file, options, series, rows, missing, step, first, total):
    panel = read(real_data / file, **options)
    assert len(panel.series) == series
    assert panel.offsets[-1] == len(panel.values) == rows
    assert (~panel.mask[:, 0]).sum() == missing
    assert (panel.describe_step(), panel.first.min(), panel.zone) == (step, stamp(first), None)
    np.testing.assert_allclose(panel.values[:, 0].sum(), total, rtol=FLOAT64)
