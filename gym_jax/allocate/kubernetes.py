"""Recommendations as documents for Kubernetes: a patch of each workload, or a vertical pod autoscaler."""

import re
from collections.abc import Sequence
from typing import Any

import yaml

from gym_jax.allocate.quantity import quantity
from gym_jax.allocate.recommend import Recommendation
from gym_jax.allocate.usage import Resource
from gym_jax.errors import DataError

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""A DNS subdomain (RFC 1123), which the API server asks for."""
RESOURCE: dict[Resource, str] = {"cpu": "cpu", "memory": "memory", "disk": "ephemeral-storage"}


def place_of(name: str) -> tuple[str | None, str, str]:
    """Return namespace, workload and container of `namespace/workload/container`; the first parts may be left out."""
    parts = name.split("/")
    return (parts[-3] if len(parts) > 2 else None), parts[-2] if len(parts) > 1 else parts[0], parts[-1]


def refuse_names(names: Sequence[str]) -> None:
    """Raise DataError when a workload's name can not stand in a document for Kubernetes."""
    odd = [name for name in names if len(name.split("/")) > 3 or not all(map(NAME.fullmatch, name.split("/")))]
    if odd:
        raise DataError(
            f"{len(odd):,} workloads have names that Kubernetes does not allow: {', '.join(odd[:5])}",
            hint="lower-case letters, digits, `-` and `.`; namespace/workload/container",
            attempt="gymjax allocate recommend RUN --format json",
            code="allocate.names",
        )


def patches(recommendations: Sequence[Recommendation], resource: Resource, kind: str = "Deployment") -> str:
    """Return a strategic-merge patch for each workload, as one YAML stream. Raises DataError on a name."""
    refuse_names([one.name for one in recommendations])
    documents = []
    for one in recommendations:
        namespace, workload, container = place_of(one.name)
        resources: dict[str, Any] = {"requests": {RESOURCE[resource]: quantity(one.request, resource)}}
        if one.limit is not None:
            resources["limits"] = {RESOURCE[resource]: quantity(one.limit, resource)}
        documents.append(
            {
                "apiVersion": "apps/v1",
                "kind": kind,
                "metadata": _metadata(namespace, workload),
                "spec": {"template": {"spec": {"containers": [{"name": container, "resources": resources}]}}},
            }
        )
    return _stream(documents)


def autoscalers(recommendations: Sequence[Recommendation], resource: Resource, kind: str = "Deployment") -> str:
    """Return a VerticalPodAutoscaler with its recommendation for each workload, as one YAML stream.

    The target is the request, the upper bound the limit, and the lower bound what was asked at ten times the risk.
    """
    refuse_names([one.name for one in recommendations])
    word, documents = RESOURCE[resource], []
    for one in recommendations:
        namespace, workload, container = place_of(one.name)
        bounds = {"lowerBound": one.lower, "target": one.request, "uncappedTarget": one.request}
        if one.limit is not None:
            bounds["upperBound"] = one.limit
        recommendation = {key: {word: quantity(value, resource)} for key, value in bounds.items()}
        documents.append(
            {
                "apiVersion": "autoscaling.k8s.io/v1",
                "kind": "VerticalPodAutoscaler",
                "metadata": _metadata(namespace, workload),
                "spec": {
                    "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": workload},
                    "updatePolicy": {"updateMode": "Off"},
                },
                "status": {
                    "recommendation": {"containerRecommendations": [{"containerName": container, **recommendation}]}
                },
            }
        )
    return _stream(documents)


def _metadata(namespace: str | None, name: str) -> dict[str, str]:
    return {"name": name, **({"namespace": namespace} if namespace else {})}


def _stream(documents: Sequence[dict[str, Any]]) -> str:
    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True)
