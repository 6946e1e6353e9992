"""Ready-made queries: what containers use, as Kubernetes' cAdvisor tells Prometheus."""

from typing import NamedTuple

RATE = 300
"""Seconds over which the CPU time is averaged, or the step where that is longer."""
_CONTAINERS = '{container!="",container!="POD"}'
"""Without the totals of pods and their pause containers, which would count everything twice."""
_HASH = "[bcdfghjklmnpqrstvwxz2456789]"
"""What Kubernetes makes generated names of: no vowels, no digits that look like letters."""
OF_POD = f"^(.+?)(?:-{_HASH}{{6,10}})?-(?:{_HASH}{{5}}|[0-9]+)$"
"""A pod's name: its workload's, a hash of the template where that is a Deployment, a word or number of its own."""


class Preset(NamedTuple):
    """A query and the column that it becomes; `WINDOW` is filled in."""

    column: str
    query: str
    words: str


_CPU = f"sum by (namespace, pod, container) (rate(container_cpu_usage_seconds_total{_CONTAINERS}[WINDOW]))"
_MEMORY = f"max by (namespace, pod, container) (container_memory_working_set_bytes{_CONTAINERS})"


def _of_workload(query: str) -> str:
    """Return the highest of the pods of a workload: what each of them must be given."""
    named = f'label_replace({query}, "workload", "$1", "pod", "(.*)")'
    return f'max by (namespace, workload, container) (label_replace({named}, "workload", "$1", "pod", "{OF_POD}"))'


PRESETS: dict[str, Preset] = {
    "cpu": Preset("cpu_cores", _CPU, "CPU of each container of each pod"),
    "memory": Preset("memory_bytes", _MEMORY, "working set of each container of each pod"),
    "cpu-workload": Preset("cpu_cores", _of_workload(_CPU), "CPU of the busiest pod of each workload, by container"),
    "memory-workload": Preset("memory_bytes", _of_workload(_MEMORY), "working set of the largest pod of each workload"),
}


def preset_query(preset: Preset, step: int) -> str:
    """Return the query of a preset for a step in milliseconds."""
    return preset.query.replace("WINDOW", f"{max(RATE, -(-step // 1000))}s")
