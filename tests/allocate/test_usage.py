"""Panels become workloads, and amounts become quantities."""

import numpy as np
import pandas as pd
import pytest
import yaml

from gym_jax.allocate.kubernetes import autoscalers, patches
from gym_jax.allocate.quantity import quantity, rounded
from gym_jax.allocate.recommend import Recommendation
from gym_jax.allocate.usage import workloads
from gym_jax.data.read import read_frame
from gym_jax.errors import DataError


def panel(step="5min", values=(1.0, np.nan, 3.0)):
    times = pd.date_range("2026-01-05", periods=len(values), freq=step)
    return read_frame(pd.DataFrame({"unique_id": "a", "ds": times, "cpu_cores": values}), usage=())


def test_a_gap_is_nan_and_times_are_kept():
    (one,) = workloads(panel())
    assert np.isnan(one.usage[1])
    assert one.per_hour == 12
    assert one.first == pd.Timestamp("2026-01-05").value


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: panel(step="7min"), "7min"),
        (lambda: panel(step="2h"), "2h"),
        (lambda: panel(values=(1.0, -2.0, 3.0)), "below 0"),
    ],
)
def test_what_is_no_usage_is_refused(made, words):
    with pytest.raises(DataError, match=words):
        workloads(made())


def test_amounts_are_rounded_up_and_not_below_the_least():
    assert (rounded(0.2501, "cpu"), quantity(rounded(0.2501, "cpu"), "cpu")) == (0.251, "251m")
    assert rounded(0.0001, "cpu") == 0.010
    assert rounded(0.0001, "cpu", 0.025) == 0.025
    assert quantity(rounded(2.0**30 + 1, "memory"), "memory") == "1025Mi"
    assert quantity(rounded(1.0, "memory"), "memory") == "100Mi"
    assert quantity(rounded(0.25, "cpu"), "cpu") == "250m"


WANTED = [
    Recommendation("shop/cart/web", 0.25, 0.5, 0.2, {}),
    Recommendation("worker", 1.5, None, 1.0, {}),
]


def test_a_patch_sets_the_container_of_its_workload():
    first, second = yaml.safe_load_all(patches(WANTED, "cpu"))
    assert first["metadata"] == {"name": "cart", "namespace": "shop"}
    (container,) = first["spec"]["template"]["spec"]["containers"]
    assert container == {"name": "web", "resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "500m"}}}
    (container,) = second["spec"]["template"]["spec"]["containers"]
    assert container == {"name": "worker", "resources": {"requests": {"cpu": "1500m"}}}


@pytest.mark.extras
def test_the_schema_of_kubernetes_takes_a_patched_workload():
    import kubernetes_validate

    for patch in yaml.safe_load_all(patches(WANTED, "cpu")):
        labels = {"app": "any"}
        patch["spec"]["selector"] = {"matchLabels": labels}
        patch["spec"]["template"]["metadata"] = {"labels": labels}
        kubernetes_validate.validate(patch, kubernetes_validate.latest_version(), strict=True)


def test_an_autoscaler_holds_the_recommendation():
    first, _ = yaml.safe_load_all(autoscalers(WANTED, "cpu", "StatefulSet"))
    assert first["spec"]["targetRef"] == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "cart"}
    assert first["spec"]["recommenders"] == [{"name": "gymjax"}], "or the cluster's own recommender writes over it"
    (found,) = first["status"]["recommendation"]["containerRecommendations"]
    assert found == {
        "containerName": "web",
        "lowerBound": {"cpu": "200m"},
        "target": {"cpu": "250m"},
        "uncappedTarget": {"cpu": "250m"},
        "upperBound": {"cpu": "500m"},
    }


def test_containers_of_one_workload_stand_in_one_document():
    """`kubectl apply` takes of two documents of one name the last."""
    both = [*WANTED, Recommendation("shop/cart/proxy", 0.1, None, 0.1, {})]
    cart, _ = yaml.safe_load_all(patches(both, "cpu"))
    assert [one["name"] for one in cart["spec"]["template"]["spec"]["containers"]] == ["web", "proxy"]
    cart, _ = yaml.safe_load_all(autoscalers(both, "cpu"))
    found = cart["status"]["recommendation"]["containerRecommendations"]
    assert [(one["containerName"], one["target"]["cpu"]) for one in found] == [("web", "250m"), ("proxy", "100m")]


@pytest.mark.parametrize(
    "name", ["Cart", "a/b/c/d", "../etc", "a b", "", "x: y", "shop/cart/web.v1", "a.b/c/d", "a/b/"]
)
def test_names_that_kubernetes_does_not_allow_are_refused(name):
    with pytest.raises(DataError, match="names"):
        patches([Recommendation(name, 1.0, None, 1.0, {})], "cpu")
