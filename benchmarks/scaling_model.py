"""How long a training step takes on many devices: a small model, in pure functions.

A step computes its share of the batch, adds the gradients of all devices up, and waits for input that was not read
ahead in time:

    step = max(compute(batch / devices) + all-reduce(bytes, devices), input(batch))

The gradients are one message: added up within each host around a ring, of which every device keeps a part; the parts
are added up across the hosts, around a ring or along a tree, whichever is faster; then they are handed around within
each host again. Seconds and bytes throughout.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Compute(NamedTuple):
    """Seconds of a step on one device alone."""

    fixed: float
    """Of every step, however small its batch."""
    window: float
    """Of each window."""

    def seconds(self, windows: float) -> float:
        """Return the seconds of a batch."""
        return self.fixed + self.window * windows


class Link(NamedTuple):
    """A way between devices, in one direction."""

    latency: float
    """Seconds before the first byte is there."""
    bandwidth: float
    """Bytes a second that one device sends."""


class Network(NamedTuple):
    """What joins devices: within a host, and from host to host for each device."""

    start: float
    """Seconds before a message sets out, however near."""
    inner: Link
    outer: Link | None = None


class Input(NamedTuple):
    """How windows come to a host that does not hold them all."""

    window_bytes: float
    host_bandwidth: float
    """Bytes a second that one host reads and decodes."""


def ring(link: Link, size: float, members: int) -> float:
    """Return the seconds in which a ring adds up `size` bytes of each member: two rounds of parts."""
    return 2 * (members - 1) * (link.latency + size / members / link.bandwidth) if members > 1 else 0.0


def tree(link: Link, size: float, members: int) -> float:
    """Return the seconds in which a tree does: up and down again, the whole size at each level."""
    return 2 * math.ceil(math.log2(members)) * (link.latency + size / link.bandwidth) if members > 1 else 0.0


def all_reduce(network: Network, size: float, devices: int, hosts: int = 1) -> float:
    """Return the seconds in which `devices` of each of `hosts` add up `size` bytes."""
    if devices * hosts == 1:
        return 0.0
    seconds = network.start + ring(network.inner, size, devices)
    if hosts > 1:
        assert network.outer is not None
        seconds += min(way(network.outer, size / devices, hosts) for way in (ring, tree))
    return seconds


def step(
    compute: Compute,
    network: Network,
    size: float,
    batch: int,
    devices: int,
    hosts: int = 1,
    input: Input | None = None,
) -> float:
    """Return the seconds of a step of `batch` windows over all devices; `size` is that of the gradients in bytes."""
    share = math.ceil(batch / (devices * hosts))
    busy = compute.seconds(share) + all_reduce(network, size, devices, hosts)
    read = 0.0 if input is None else batch / hosts * input.window_bytes / input.host_bandwidth
    return max(busy, read)


def fit_compute(batches: Sequence[int], seconds: Sequence[float]) -> Compute:
    """Return the constants that leave the least relative squares; none is below 0."""
    fixed, window = _line(batches, seconds)
    return Compute(fixed, window)


def fit_link(sizes: Sequence[float], seconds: Sequence[float]) -> Link:
    """Return the link with which a ring of two takes these seconds."""
    fixed, slope = _line(sizes, seconds)
    return Link(fixed / 2, 1 / max(slope, 1e-15))


def _line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Return offset and slope, neither below 0, of the line with the least relative squares."""
    at, by = np.asarray(x, np.float64), 1 / np.asarray(y, np.float64)
    weighted = np.stack([by, at * by], axis=1)
    offset, slope = np.linalg.lstsq(weighted, np.ones_like(by), rcond=None)[0]
    if offset < 0:
        return 0.0, float((at * by).sum() / ((at * by) @ (at * by)))
    if slope < 0:
        return float(by.sum() / (by @ by)), 0.0
    return float(offset), float(slope)
