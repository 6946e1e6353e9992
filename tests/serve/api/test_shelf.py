"""Newer versions: taken when they prove themselves, refused and counted when not, while the old one answers."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fake_models import asked, fake_model, poisoned, served, serving_models
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_jax.errors import CheckpointError, ConfigError
from gym_jax.serve.api.meters import Meters
from gym_jax.serve.api.served import NAME, mark_of, sources_of
from gym_jax.serve.api.shelf import Shelf


def newer(one, **more):
    """Return the model as it is found after another training."""
    spec = replace(one.model.spec, trained_step=99, weights_digest="1" * 64)
    return replace(one, model=replace(one.model, spec=spec), mark=(2,), **more)


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    return folder


def shelf_of(place, opened):
    one = served(path=place)
    one = replace(one, mark=mark_of(one.source))
    return Shelf({"fake": one}, Meters(), open=opened), one


def change(place):
    (place / "manifest.json").unlink()
    (place / "manifest.json").write_text("{ }")


def test_a_newer_version_takes_over_once_it_is_open(place):
    opened = []

    def open_(source):
        opened.append(source)
        return newer(one, source=source)

    shelf, one = shelf_of(place, open_)
    shelf.look()
    assert opened == []  # nothing has changed
    change(place)
    shelf.look()
    assert shelf.models["fake"].version != one.version
    assert shelf.meters.reloads == {(("model", "fake"), ("result", "taken")): 1}


def test_a_bad_version_is_refused_once_and_the_old_one_goes_on(place):
    opened = []

    def open_(source):
        opened.append(source)
        raise CheckpointError("weights.npz is not what the manifest says", hint="damaged")

    shelf, one = shelf_of(place, open_)
    change(place)
    for _ in range(3):
        shelf.look()
    assert shelf.models["fake"] is one
    assert len(opened) == 1
    assert shelf.refused["fake"] == {"error": "weights.npz is not what the manifest says", "hint": "damaged"}
    assert shelf.meters.reloads == {(("model", "fake"), ("result", "refused")): 1}
    shelf.open = lambda source: newer(one, source=source)
    change(place)
    shelf.look()
    assert shelf.refused == {}
    assert shelf.models["fake"].version != one.version


def test_a_place_that_is_gone_is_no_newer_version(place):
    shelf, one = shelf_of(place, lambda source: pytest.fail("nothing to open"))
    shutil.rmtree(place)
    shelf.look()
    assert shelf.models["fake"] is one
    assert "can not be read" in shelf.refused["fake"]["error"]


def test_a_refused_version_is_told_to_who_looks_and_ready_stays_truthful(place):
    def open_(source):
        raise CheckpointError("damaged")

    with serving_models(served(path=place), open_=open_) as app:
        app.shelf.look()  # its mark is not that of the place
        facts = httpx.get(f"{app.url}/v1/models").json()["models"][0]
        assert facts["refused"] == {"error": "damaged", "hint": ""}
        assert httpx.get(f"{app.url}/readyz").status_code == 200
        assert httpx.post(f"{app.url}/v1/predict", json={"series": [asked()]}).status_code == 200
        assert 'gymjax_reloads_total{model="fake",result="refused"} 1' in httpx.get(f"{app.url}/metrics").text


def test_a_poisoned_version_does_not_pass_the_ladder():
    from gym_jax.serve.api.ladder import on_ladder

    with pytest.raises(CheckpointError):
        on_ladder(poisoned(served()).model)


def test_places_get_the_names_they_are_given(place, tmp_path):
    (one, two) = sources_of([str(place), f"cpu={place}"])
    assert (one.name, one.kind, two.name, two.path) == ("export", "export", "cpu", place)
    for words, reason in (
        ([str(place), str(place)], "two models"),
        ([f"../x={place}"], "no name"),
        ([f"={place}"], "no name"),
        ([f"{'x' * 65}={place}"], "no name"),
    ):
        with pytest.raises(ConfigError, match=reason):
            sources_of(words)
    with pytest.raises(CheckpointError, match="no run at"):
        sources_of([str(tmp_path / "nowhere")])


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=70))
def test_no_name_is_a_path(word):
    if NAME.fullmatch(word):
        assert Path(word).name == word
        assert word not in (".", "..")
        assert json.loads(json.dumps(word)) == word


def test_a_model_that_is_asked_while_it_is_replaced_answers_with_the_version_it_names(place):
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    old = served(path=place)
    shifted = fake_model(lambda window: np.repeat(window.past[:, -1:, :1], 3, axis=1) + np.float32(1))
    new = served(replace(shifted, spec=replace(shifted.spec, trained_step=8)), path=place)
    versions = {old.version: 12.0, new.version: 14.0}  # one unit of 2 above
    turns = iter(range(10**6))
    with serving_models(old, open_=lambda source: replace((new, old)[next(turns) % 2], mark=("never",))) as app:

        def ask(number):
            found = httpx.post(f"{app.url}/v1/predict", json={"series": [asked((10, 12))]}, verify=False).json()
            return versions[found["version"]] == found["series"][0]["forecast"]["cpu"][0]

        with ThreadPoolExecutor(4) as pool:
            asking = pool.map(ask, range(30))
            for _ in range(20):
                change(place)
                app.shelf.look()
            assert all(asking)


def test_another_file_of_the_same_size_and_time_is_another_version(place, tmp_path):
    (source,) = sources_of([str(place)])
    before = mark_of(source)
    assert mark_of(source) == before
    shutil.copytree(place, tmp_path / "other")  # with its times
    (place / "manifest.json").unlink()
    shutil.copy2(tmp_path / "other" / "manifest.json", place)
    assert mark_of(source) != before
