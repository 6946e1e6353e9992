"""Tables and sequences read as cases, by hand; what train cases teach; samples for a model."""

import gzip
import re

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from gym_jax.data.cases import join_cases
from gym_jax.data.formats import open_table
from gym_jax.data.formats.arrow import open_frame
from gym_jax.data.learn import Learnt, learn
from gym_jax.data.read_cases import Asked, cases_of_tables, read_cases
from gym_jax.data.read_table import raw_frame
from gym_jax.data.reading import Policy, Reading
from gym_jax.data.samples import make_samples
from gym_jax.errors import DataError

TABLE = """vm_id,share,load,size,zone,rank
m1,0.5,1.0,10,west,1
m2,0.25,,20,east,2
m3,,3.0,30,,2
m4,1.0,5.0,40,west,1
"""
SEQUENCES = """@problemName Walk
@classLabel true slow fast
@data
1,2,3:4,5,?:slow
0,1:1,2:fast
"""
REGRESS, CLASSIFY = Asked("regress"), Asked("classify")


@pytest.fixture
def table(tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    return tmp_path / "t.csv"


@pytest.fixture
def sequences(tmp_path):
    (tmp_path / "Walk.ts.gz").write_bytes(gzip.compress(SEQUENCES.encode()))
    return tmp_path / "Walk.ts.gz"


def test_a_row_is_a_case_and_its_columns_are_features(table):
    cases = read_cases(table, Reading(target="share", id="vm_id"), REGRESS)
    assert (cases.channels, cases.category_names, cases.names) == (
        ("load", "size", "rank"),
        ("zone",),
        ("m1", "m2", "m3", "m4"),
    )
    assert cases.values[:, 0].tolist() == [[1, 10, 1], [0, 20, 2], [3, 30, 2], [5, 40, 1]]
    assert cases.mask[:, 0, 0].tolist() == [True, False, True, True]
    np.testing.assert_array_equal(cases.targets, [[0.5], [0.25], [np.nan], [1]])
    assert cases.categories.ravel().tolist() == ["west", "east", "", "west"]
    assert cases.answered.tolist() == [True, True, False, True]
    assert cases.notes == ("1 target values and 1 other values are missing (NaN): masked",)


def test_columns_are_what_is_said_of_them(table):
    cases = read_cases(table, Reading(target=("share", "load"), categories="rank"), Asked("regress", ("zone", "vm_id")))
    assert (cases.channels, cases.category_names, cases.names) == (("size",), ("rank",), None)
    assert cases.categories.ravel().tolist() == ["1", "2", "2", "1"]
    assert cases.targets.shape == (4, 2)


def test_a_label_may_be_words_or_numbers(table):
    assert read_cases(table, Reading(target="zone"), CLASSIFY).labels.tolist() == ["west", "east", "", "west"]
    numbers = read_cases(table, Reading(target="rank"), CLASSIFY)
    assert (numbers.labels.tolist(), numbers.targets) == (["1", "2", "2", "1"], None)


def test_an_id_and_times_are_no_features():
    frame = pd.DataFrame({"id": [7, 8], "ds": pd.to_datetime(["2026-01-01", "2026-01-02"]), "a": [1, 2], "y": [3, 4]})
    cases = cases_of_tables({"f": open_frame(frame)}, Reading(target="y"), REGRESS)
    assert (cases.channels, cases.names) == (("a",), ("7", "8"))
    assert cases.notes == ("column `ds` holds times: left aside", "column `id` names the rows: it is no feature")


def test_words_alone_are_a_table_too():
    frame = pd.DataFrame({"zone": ["a", "b"], "y": [3.0, 4.0]})
    cases = cases_of_tables({"f": open_frame(frame)}, Reading(target="y"), REGRESS)
    assert (cases.channels, cases.values.shape) == (("constant",), (2, 1, 1))
    assert cases.mask.all()


@pytest.mark.parametrize(
    ("reading", "asked", "said", "hint"),
    [
        (Reading(), REGRESS, "which column of `t.csv` is to be learnt?", "name it"),
        (Reading(target="shar"), REGRESS, "no column `shar` in `t.csv`", "did you mean `share`?"),
        (Reading(target="zone"), REGRESS, "the target `zone` of `t.csv` is no number", "labels are for"),
        (Reading(target=("zone", "rank")), CLASSIFY, "a classifier learns one label", "a run for each"),
        (Reading(target="share"), Asked("regress", ("sise",)), "no column `sise`", "did you mean `size`?"),
        (Reading(target="share", past="load"), REGRESS, "data.past is of sequences", "name the column of the times"),
        (Reading(target="share", policy=Policy(missing="error")), REGRESS, "are missing (NaN)", "refuses them"),
        (Reading(target="share", static="load", categories="load"), REGRESS, "a number and a category at once", "one"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(table, reading, asked, said, hint):
    with pytest.raises(DataError, match=re.escape(said)) as caught:
        read_cases(table, reading, asked)
    assert hint in caught.value.hint


def test_usage_and_blank_columns_are_judged():
    frame = pd.DataFrame({"cpu_load": [-1.0, 2.0], "empty": [np.nan, np.nan], "y": [1.0, 2.0]})
    tables = {"f": open_frame(frame)}
    with pytest.raises(DataError, match="1 values of usage are negative: `cpu_load` of data row 1 is -1"):
        cases_of_tables(tables, Reading(target="y"), REGRESS)
    with pytest.raises(DataError, match="column `empty` hold no number"):
        cases_of_tables(tables, Reading(target="y", policy=Policy(negative="keep")), REGRESS)
    policy = Policy(negative="zero", blank="drop")
    cases = cases_of_tables(tables, Reading(target="y", policy=policy), REGRESS)
    assert (cases.channels, cases.values.ravel().tolist()) == (("cpu_load",), [0, 2])


def test_several_tables_are_one_and_a_row_is_found_again(tmp_path):
    for name, load in (("a", "1"), ("b", "inf")):
        (tmp_path / f"{name}.csv").write_text(f"y,load\n1,{load}\n2,3\n")
    with pytest.raises(DataError, match=r"`load` of data row 1 of `b.csv`"):
        read_cases(tmp_path, Reading(target="y"), REGRESS)
    cases = read_cases(tmp_path, Reading(target="y", policy=Policy(infinite="mask")), REGRESS)
    assert cases.targets.ravel().tolist() == [1, 2, 1, 2]


def test_the_table_as_it_stands_keeps_its_whole_numbers(table):
    frame = raw_frame({"t": open_table(table, Reading())})
    assert frame["size"].tolist() == [10, 20, 30, 40]
    assert frame["size"].dtype == np.int64
    assert frame.columns.tolist() == TABLE.splitlines()[0].split(",")


def test_ids_of_many_digits_stay_apart(tmp_path):
    ids = [2**53 + 1, 2**53 + 3, 10**15 + 1]
    frame = pd.DataFrame(
        {"id": ids, "load": [1.0, 2.0, 4.0], "rank": [10**15, 10**15 + 1, 7], "huge": [1e20, 1.0, 2.0]}
    )
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    for path in (tmp_path / "t.parquet", tmp_path / "t.csv"):
        cases = read_cases(path, Reading(target="rank"), CLASSIFY)
        assert cases.names == tuple(map(str, ids))
        assert cases.labels.tolist() == ["1000000000000000", "1000000000000001", "7"]
        found = raw_frame({"t": open_table(path, Reading())})
        assert found["id"].tolist() == ids
        assert found["huge"].tolist() == [1e20, 1, 2]


def test_cases_without_their_answers_are_scaled_as_those_with(table):
    two = Reading(target=("share", "load"))
    learnt = learn(read_cases(table, two, REGRESS))
    bare = read_cases(table, Reading(target=("no", "such"), static="size"), Asked("regress", needed=False, exact=True))
    values, known = learnt.answers(bare)
    assert values.shape == known.shape == (4, 2)
    assert not known.any()


def test_sequences_end_together_and_their_label_is_asked(sequences):
    cases = read_cases(sequences, Reading(), CLASSIFY)
    assert (cases.channels, cases.names, cases.labels.tolist()) == (
        ("dim_0", "dim_1"),
        ("Walk-0", "Walk-1"),
        ["slow", "fast"],
    )
    assert cases.values.tolist() == [[[1, 4], [2, 5], [3, 0]], [[0, 0], [0, 1], [1, 2]]]
    assert cases.mask.tolist() == [[[True] * 2, [True] * 2, [True, False]], [[False] * 2, [True] * 2, [True] * 2]]
    one = read_cases(sequences, Reading(past="dim_1"), CLASSIFY)
    assert (one.channels, one.categories) == (("dim_1",), None)
    with pytest.raises(DataError, match=r"the target `label` of `Walk.ts.gz` is no number"):
        read_cases(sequences, Reading(), REGRESS)


def test_a_sequence_may_end_in_a_number(tmp_path):
    (tmp_path / "heat.ts").write_text("@targetLabel true\n@data\n1,2:0.5\n3,4:-2e1\n")
    cases = read_cases(tmp_path / "heat.ts", Reading(), REGRESS)
    assert (cases.values[..., 0].tolist(), cases.targets.tolist(), cases.labels) == (
        [[1, 2], [3, 4]],
        [[0.5], [-20]],
        None,
    )
    (tmp_path / "heat.ts").write_text("@targetLabel true\n@data\n1,2:hot\n")
    with pytest.raises(DataError, match="line 3: it ends in `hot`, not in a number"):
        read_cases(tmp_path / "heat.ts", Reading(), REGRESS)


def test_sequences_may_be_arrays(tmp_path):
    x = np.arange(12.0).reshape(2, 3, 2)
    np.savez(tmp_path / "s.npz", x=x, y=np.array([1.5, 2.5]), kind=np.array(["u", "v"]))
    cases = read_cases(tmp_path / "s.npz", Reading(target="y"), REGRESS)
    np.testing.assert_array_equal(cases.values, x)
    assert (cases.channels, cases.targets.tolist(), cases.categories.tolist()) == (
        ("x_0", "x_1"),
        [[1.5], [2.5]],
        [["u"], ["v"]],
    )
    assert read_cases(tmp_path / "s.npz", Reading(target="kind"), CLASSIFY).static.tolist() == [[1.5], [2.5]]
    np.savez(tmp_path / "s.npz", x=x, y=np.ones(3))
    with pytest.raises(DataError, match=r"holds no sequences with a value per case beside them: x .2, 3, 2., y .3."):
        read_cases(tmp_path / "s.npz", Reading(target="y"), REGRESS)


def test_a_long_file_with_times_is_sequences(tmp_path):
    rows = [f"{vm},{t},{t * k},{word}" for vm, k, word in (("a", 1, "up"), ("b", -1, "down")) for t in range(k + 3)]
    (tmp_path / "long.csv").write_text("vm,t,heat,way\n" + "\n".join(rows) + "\n")
    cases = read_cases(tmp_path / "long.csv", Reading(target="way", id="vm", time="t", time_unit="step"), CLASSIFY)
    assert (cases.channels, cases.labels.tolist()) == (("heat",), ["up", "down"])
    assert cases.values[..., 0].tolist() == [[0, 1, 2, 3], [0, 0, 0, -1]]
    assert cases.mask[1, :, 0].tolist() == [False, False, True, True]


def test_train_cases_teach_and_the_numbers_are_numpys(table):
    cases = read_cases(table, Reading(target="share"), REGRESS)
    learnt = learn(cases)
    load = np.array([1.0, 3, 5])
    assert (learnt.scaler.shift[0, 0], learnt.scaler.scale[0, 0]) == (load.mean(), pytest.approx(load.std()))
    share = np.array([0.5, 0.25, 1])
    assert learnt.target.shift.tolist() == [[pytest.approx(share.mean())]]
    assert learnt.encoder.vocabularies == (("east", "west"),)
    samples = make_samples(cases, learnt)
    batch = samples.take(jnp.array([1, 2, 0, -1]))
    np.testing.assert_allclose(batch.inputs.past[0, 0, 1], (20 - 25) / np.sqrt(125), rtol=1e-6)
    assert batch.inputs.past[0, 0, 0] == 0
    assert batch.inputs.mask[0, 0].tolist() == [False, True, True]
    assert batch.weights.ravel().tolist() == [1, 0, 1, 0]
    np.testing.assert_allclose(batch.targets[0, 0, 0], (0.25 - share.mean()) / share.std(), rtol=1e-6)
    assert batch.inputs.categories[0].tolist() == [1]
    assert Learnt.from_json(learnt.to_json()).to_json() == learnt.to_json()


def test_classes_are_in_order_and_an_unknown_one_is_refused(table):
    cases = read_cases(table, Reading(target="rank"), CLASSIFY)
    import dataclasses

    cases = dataclasses.replace(cases, labels=np.array(["10", "2", "", "x"], object))
    learnt = learn(cases)
    assert (learnt.classes, learnt.codes(cases).tolist()) == (("2", "10", "x"), [1, 0, -1, 2])
    assert make_samples(cases, learnt).weights.ravel().tolist() == [1, 1, 0, 1]
    with pytest.raises(DataError, match="no train case has the class `y` of `rank`") as caught:
        learnt.codes(dataclasses.replace(cases, labels=np.array(["y"] * 4, object)))
    assert caught.value.hint == "the classes of the train part are 2, 10, x"
    with pytest.raises(DataError, match="the train cases have 1 class of `rank`: x"):
        learn(cases.select(np.array([2, 3])))


def test_a_sequence_scaled_by_itself_has_its_own_mean_and_deviation(sequences, table):
    cases = read_cases(sequences, Reading(), CLASSIFY)
    learnt = learn(cases, alone=True)
    values, mask = learnt.scaled(cases)
    np.testing.assert_allclose(values[0, :, 0], (np.array([1, 2, 3]) - 2) / np.std([1, 2, 3]), rtol=1e-6)
    np.testing.assert_allclose(values[1, :, 1], [0, -1, 1], rtol=1e-6)
    assert (values[~mask] == 0).all()
    with pytest.raises(DataError, match="a row of a table can not be scaled by itself"):
        learn(read_cases(table, Reading(target="share"), REGRESS), alone=True)


def test_longer_and_shorter_sequences_meet_at_their_end(sequences):
    cases = read_cases(sequences, Reading(), CLASSIFY)
    assert cases.with_steps(2).values[0].tolist() == [[2, 5], [3, 0]]
    assert cases.with_steps(5).mask[0].any(axis=1).tolist() == [False, False, True, True, True]
    both = join_cases(cases.with_steps(2), cases)
    assert (len(both), both.values.shape[1], both.labels.tolist()) == (4, 3, ["slow", "fast"] * 2)
    with pytest.raises(DataError, match="other columns: `dim_1`"):
        join_cases(cases, read_cases(sequences, Reading(past="dim_0"), CLASSIFY))


def test_more_targets_than_channels_find_room():
    frame = pd.DataFrame({"a": [1.0, 2], "y": [3.0, 4], "z": [5.0, 6]})
    cases = cases_of_tables({"f": open_frame(frame)}, Reading(target=("y", "z")), REGRESS)
    batch = make_samples(cases, learn(cases)).take(jnp.arange(2))
    assert batch.inputs.past.tolist() == [[[-1, 0]], [[1, 0]]]
    assert (batch.inputs.mask, batch.targets.shape) == (None, (2, 1, 2))
