"""Recommendations as documents for Kubernetes: a patch of each workload, or a vertical pod autoscaler."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from gym_jax.allocate.quantity import quantity
from gym_jax.allocate.recommend import Recommendation
from gym_jax.allocate.usage import Resource
from gym_jax.errors import DataError

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""A DNS subdomain (RFC 1123), which the API server asks for."""
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A DNS label (RFC 1123): what namespaces and containers are called."""
RESOURCE: dict[Resource, str] = {"cpu": "cpu", "memory": "memory", "disk": "ephemeral-storage"}
RECOMMENDER = "gymjax"
"""Whose recommendation it is: the autoscaler's own recommender leaves objects of another one alone."""


def place_of(name: str) -> tuple[str | None, str, str]:
    """Return namespace, workload and container of `namespace/workload/container`; the first parts may be left out."""
    parts = name.split("/")
    return (parts[-3] if len(parts) > 2 else None), parts[-2] if len(parts) > 1 else parts[0], parts[-1]


def refuse_names(names: Sequence[str]) -> None:
    """Raise DataError when a workload's name can not stand in a document for Kubernetes."""
    if odd := [name for name in names if not _is_named(name)]:
        raise DataError(
            f"{len(odd):,} workloads have names that Kubernetes does not allow: {', '.join(odd[:5])}",
            hint="namespace/workload/container in lower-case letters, digits and `-`; a workload may have a `.` too",
            attempt="gymjax allocate recommend RUN --format json",
            code="allocate.names",
        )


def _is_named(name: str) -> bool:
    namespace, workload, container = place_of(name)
    labels = (container,) if namespace is None else (namespace, container)
    return name.count("/") <= 2 and NAME.fullmatch(workload) is not None and all(map(LABEL.fullmatch, labels))


def patches(recommendations: Sequence[Recommendation], resource: Resource, kind: str = "Deployment") -> str:
    """Return a strategic-merge patch for each workload, as one YAML stream. Raises DataError on a name."""
    documents = []
    for (namespace, workload), containers in _by_workload(recommendations).items():
        patched = [
            {"name": name, "resources": _quantities({"requests": one.request, "limits": one.limit}, resource)}
            for name, one in containers.items()
        ]
        documents.append(
            {
                "apiVersion": "apps/v1",
                "kind": kind,
                "metadata": _metadata(namespace, workload),
                "spec": {"template": {"spec": {"containers": patched}}},
            }
        )
    return _stream(documents)


def autoscalers(recommendations: Sequence[Recommendation], resource: Resource, kind: str = "Deployment") -> str:
    """Return a VerticalPodAutoscaler with its recommendations for each workload, as one YAML stream.

    The target is the request, the upper bound the limit, and the lower bound what was asked at ten times the risk.
    They are the status, which `kubectl apply` leaves out and `kubectl replace --subresource=status` writes.
    Raises DataError on a name.
    """
    documents = []
    for (namespace, workload), containers in _by_workload(recommendations).items():
        bounds = [{"containerName": name, **_bounds(one, resource)} for name, one in containers.items()]
        documents.append(
            {
                "apiVersion": "autoscaling.k8s.io/v1",
                "kind": "VerticalPodAutoscaler",
                "metadata": _metadata(namespace, workload),
                "spec": {
                    "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": workload},
                    "updatePolicy": {"updateMode": "Off"},
                    "recommenders": [{"name": RECOMMENDER}],
                },
                "status": {"recommendation": {"containerRecommendations": bounds}},
            }
        )
    return _stream(documents)


def _by_workload(
    recommendations: Sequence[Recommendation],
) -> dict[tuple[str | None, str], dict[str, Recommendation]]:
    """Return the containers of each workload: of two documents of one name only the last would be applied."""
    refuse_names([one.name for one in recommendations])
    found: dict[tuple[str | None, str], dict[str, Recommendation]] = {}
    for one in recommendations:
        namespace, workload, container = place_of(one.name)
        found.setdefault((namespace, workload), {})[container] = one
    return found


def _bounds(one: Recommendation, resource: Resource) -> dict[str, Any]:
    amounts = {"lowerBound": one.lower, "target": one.request, "uncappedTarget": one.request, "upperBound": one.limit}
    return _quantities(amounts, resource)


def _quantities(amounts: Mapping[str, float | None], resource: Resource) -> dict[str, Any]:
    """Return amounts in Kubernetes' words by their names, those that are not None."""
    word = RESOURCE[resource]
    return {name: {word: quantity(value, resource)} for name, value in amounts.items() if value is not None}


def _metadata(namespace: str | None, name: str) -> dict[str, str]:
    return {"name": name, **({"namespace": namespace} if namespace else {})}


def _stream(documents: Sequence[dict[str, Any]]) -> str:
    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True)
