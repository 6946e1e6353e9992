import json
import math

import numpy as np
import pandas as pd
import pytest

from gym_jax.cli import main
from gym_jax.data.synthetic import generate_frame, quantile_truth
from gym_jax.data.tabular import generate_table
from gym_jax.errors import ConfigError

FEATURES = ["cpu_load", "memory_share", "disk_io_mbps", "network_io_mbps", "process_count", "priority"]
FEATURES += ["hour", "weekday"]
TRUTH = ["cpu_share_mean", "cpu_share_sd"]
FIRST = [
    [0.5297, 0.3846, 73.859, 36.418, 82, 3, 3, 2, 0.4129],
    [0.1616, 0.7241, 12.892, 3.515, 39, 3, 0, 0, 0.1935],
]


@pytest.fixture(scope="module")
def table():
    return generate_table(rows=20_000, truth=True)


def r2(truth, prediction):
    return 1 - np.sum((truth - prediction) ** 2) / np.sum((truth - np.mean(truth)) ** 2)


def test_the_same_seed_gives_the_same_table():
    table = generate_table()
    pd.testing.assert_frame_equal(table, generate_table(seed=0))
    assert not table.equals(generate_table(seed=1))
    pd.testing.assert_frame_equal(table, generate_table(truth=True)[[*FEATURES, "cpu_share"]])
    np.testing.assert_allclose(table.iloc[:2].to_numpy(), FIRST, rtol=1e-6)


def test_a_table_has_the_promised_columns():
    table = generate_table()
    assert (list(table), len(table)) == ([*FEATURES, "cpu_share"], 5000)
    assert list(generate_table(rows=1, truth=True)) == [*FEATURES, "cpu_share", *TRUTH]
    assert not table.isna().any().any()
    whole = ["process_count", "priority", "hour", "weekday"]
    assert (table[whole].dtypes == np.int64).all()
    assert (table.drop(columns=whole).dtypes == np.float64).all()
    for name in ("cpu_load", "memory_share", "cpu_share"):
        assert table[name].between(0, 1).all()
    for name, low, high in (("priority", 1, 5), ("hour", 0, 23), ("weekday", 0, 6)):
        assert sorted(table[name].unique()) == list(range(low, high + 1))
    assert table[["disk_io_mbps", "network_io_mbps", "process_count"]].min().min() > 0


def test_features_are_skewed_and_depend_on_each_other(table):
    assert (table[["disk_io_mbps", "network_io_mbps"]].skew() > 2).all()
    assert table["process_count"].skew() > 1
    correlation = table[FEATURES[:5]].corr().to_numpy()
    assert correlation.min() > 0.15
    assert correlation[~np.eye(5, dtype=bool)].max() < 0.9
    working = table["hour"].between(10, 16) & (table["weekday"] < 5)
    for name in ("cpu_load", "network_io_mbps"):
        assert table[name][working].mean() > 1.3 * table[name][~working].mean()


def test_mean_and_sd_are_the_documented_formula(table):
    for row in table.head(300).itertuples():
        urgency = (row.priority - 1) / 4
        work = math.exp(-(((row.hour - 13) / 4) ** 2)) * (1 if row.weekday <= 4 else 0.3)
        mean = row.cpu_load * (0.25 + 0.55 * urgency) + 0.15 * row.memory_share**2
        mean += 0.1 * math.tanh(row.disk_io_mbps / 60) + 0.2 * work * math.tanh(row.network_io_mbps / 30)
        mean += 0.03 * math.log10(row.process_count) - 0.15 * work * (1 - urgency)
        assert row.cpu_share_mean == pytest.approx(mean, rel=1e-12, abs=1e-12)
        assert row.cpu_share_sd == pytest.approx(0.02 + 0.07 * max(mean, 0), rel=1e-12)


def test_the_truth_explains_nearly_all_and_a_line_explains_less(table):
    share = table["cpu_share"].to_numpy()
    features = np.column_stack([np.ones(len(table)), table[FEATURES]])
    line = features @ np.linalg.lstsq(features, share, rcond=None)[0]
    best = r2(share, np.clip(table["cpu_share_mean"], 0, 1))
    assert 0.9 < best < 0.96
    assert r2(share, line) < best - 0.04


def test_priority_matters_more_under_load_and_in_working_hours(table):
    def gain(rows):
        share = rows.groupby("priority")["cpu_share"].mean()
        return share[5] - share[1]

    loaded = table["cpu_load"] > 0.5
    assert gain(table[loaded]) > 2 * gain(table[~loaded])
    night = table["hour"] < 6
    quiet = table["cpu_load"].between(0.2, 0.4)
    assert gain(table[quiet & table["hour"].between(11, 15)]) > gain(table[quiet & night]) + 0.05


def test_noise_is_standard_normal_independent_and_grows_with_the_mean(table):
    free = table["cpu_share"].between(0.0001, 0.9999) & (table["cpu_share_mean"] > 4 * table["cpu_share_sd"])
    noise = ((table["cpu_share"] - table["cpu_share_mean"]) / table["cpu_share_sd"])[free].to_numpy()
    assert abs(noise.mean()) < 4 / np.sqrt(len(noise))
    assert abs(noise.var() - 1) < 4 * np.sqrt(2 / len(noise))
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 4 / np.sqrt(len(noise))
    residual, mean = (table["cpu_share"] - table["cpu_share_mean"])[free], table["cpu_share_mean"][free]
    assert residual[mean > 0.5].std() > 1.4 * residual[mean < 0.25].std()


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.9, 0.99])
def test_the_true_quantiles_cover_what_they_say(table, probability):
    def off(frame):
        quantile = quantile_truth(frame, probability)
        inside = (quantile > 0) & (quantile < 1)
        covered = (table["cpu_share"] <= quantile)[inside].sum()
        expected = inside.sum() * probability
        return abs(covered - expected) / np.sqrt(expected * (1 - probability))

    assert off(table) < 4
    if probability != 0.5:
        assert off(table.assign(cpu_share_sd=0.85 * table["cpu_share_sd"])) > 4, "a wrong sd is seen"
        assert off(table.assign(cpu_share_sd=1.15 * table["cpu_share_sd"])) > 4
    else:
        assert off(table.assign(cpu_share_mean=table["cpu_share_mean"] + 0.002)) > 4, "a wrong mean is seen"


def test_few_rows_are_clipped_at_either_end(table):
    for end in (0, 1):
        assert 0.0001 < (table["cpu_share"] == end).mean() < 0.01


@pytest.mark.parametrize("setting", [{"rows": 0}, {"seed": -1}], ids=str)
def test_settings_out_of_range_are_named(setting):
    ((name, value),) = setting.items()
    with pytest.raises(ConfigError, match=f"{name}={value}"):
        generate_table(**setting)


@pytest.mark.parametrize("name", ["usage.csv", "usage.parquet"])
def test_generate_replaces_nothing_but_what_was_generated(tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    own = pd.DataFrame({"unique_id": ["a"], "ds": ["2026-03-01"], "cpu_cores": [1.0]})
    own.to_csv(name) if name.endswith("csv") else own.to_parquet(name)
    before, words = (tmp_path / name).read_bytes(), ["generate", "--out", name, "--series", "1", "--days", "0.1"]
    assert main(words) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: `{name}` is there, and was not generated",
        "hint: its columns are others; nothing of yours is overwritten",
        f"try: gymjax generate --out generated.{name.partition('.')[2]}",
    ]
    assert (tmp_path / name).read_bytes() == before
    (tmp_path / name).unlink()
    assert [main([*words, *more]) for more in ((), ("--truth",), ("--seed", "1"))] == [0, 0, 0]


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".csv.gz"])
def test_generate_writes_a_panel_or_a_table(tmp_path, capsys, ending):
    load = pd.read_parquet if ending == ".parquet" else pd.read_csv
    panel, table = tmp_path / f"panel{ending}", tmp_path / f"table{ending}"
    assert main(["generate", "-o", str(panel), "--series", "2", "--days", "0.5", "--gaps", "0.1", "--seed", "3"]) == 0
    expected = generate_frame(series=2, days=0.5, gaps=0.1, seed=3)
    assert capsys.readouterr().out == f"{len(expected)} rows of 2 machines in {panel}\n"
    written = load(panel)
    written["ds"] = pd.to_datetime(written["ds"])
    pd.testing.assert_frame_equal(written, expected, check_dtype=False)
    assert main(["generate", "--out", str(table), "--kind", "table", "--rows", "50", "--seed", "3", "--truth"]) == 0
    assert capsys.readouterr().out == f"50 rows in {table}\n"
    pd.testing.assert_frame_equal(load(table), generate_table(rows=50, seed=3, truth=True))


def test_generate_says_in_json_what_it_wrote(tmp_path, capsys):
    path, other = tmp_path / "x.csv", tmp_path / "y.csv"
    head = {"schema": 1, "command": "generate", "status": "ok", "out": str(path)}
    assert main(["generate", "--out", str(path), "--series", "2", "--days", "0.1", "--gaps", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {**head, "rows": 56, "series": 2}
    assert list(pd.read_csv(path)) == list(generate_frame(series=1, days=0.1))
    assert main(["generate", "--out", str(other), "--kind", "table", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {**head, "out": str(other), "rows": 5000}
    assert main(["generate", "--out", str(path), "--series", "1", "--days", "0.1", "--truth", "--json"]) == 0
    assert list(pd.read_csv(path))[-2:] == ["cpu_cores_mean", "cpu_cores_sd"]


def test_the_defaults_in_the_help_are_those_of_the_functions():
    from typer.main import get_command

    from gym_jax.cli import app

    shown = {option.name: option.show_default for option in get_command(app).commands["generate"].params}
    defaults = {**generate_frame.__kwdefaults__, **generate_table.__kwdefaults__}
    for name in ("series", "days", "gaps", "rows"):
        assert shown[name] == str(defaults[name])


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            ["--kind", "table", "--series", "4"],
            [
                "error: --series belongs to --kind panel, this is a table",
                "hint: a table takes --rows, --seed, --truth",
                "try: gymjax generate --kind panel --out x.csv --series 4",
            ],
        ),
        (
            ["--rows", "10"],
            [
                "error: --rows belongs to --kind table, this is a panel",
                "hint: a panel takes --series, --days, --gaps, --seed, --truth",
                "try: gymjax generate --kind table --out x.csv --rows 10",
            ],
        ),
        (
            ["--kind", "table", "--gaps", "0"],
            [
                "error: --gaps belongs to --kind panel, this is a table",
                "hint: a table takes --rows, --seed, --truth",
                "try: gymjax generate --kind panel --out x.csv --gaps 0.0",
            ],
        ),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_an_option_of_the_other_kind_is_refused(words, lines, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["generate", "--out", "x.csv", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", lines)
    assert list(tmp_path.iterdir()) == []
