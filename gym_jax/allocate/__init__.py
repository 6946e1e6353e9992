"""Allocations against what was used: policies, walked forward and compared at equal violation, and recommendations.

Names are resolved on first use: who only rounds an amount does not load JAX.
"""

from typing import TYPE_CHECKING

from gym_jax.lazy import lazily

if TYPE_CHECKING:
    from gym_jax.allocate.frontier import make_frontier, ratio_at, scale_at
    from gym_jax.allocate.learned import Learned, Recipe
    from gym_jax.allocate.offers import learn_from
    from gym_jax.allocate.outcome import Figures, Outcome, figures
    from gym_jax.allocate.policies import POLICIES, make_policy
    from gym_jax.allocate.price import Price
    from gym_jax.allocate.protocol import Protocol
    from gym_jax.allocate.recommend import Recommendation, recommend
    from gym_jax.allocate.simulate import Simulation, simulate
    from gym_jax.allocate.usage import Workload, workloads
    from gym_jax.allocate.verdict import judge

_HOMES = {
    "POLICIES": "policies",
    "Figures": "outcome",
    "Learned": "learned",
    "Outcome": "outcome",
    "Price": "price",
    "Protocol": "protocol",
    "Recipe": "learned",
    "Recommendation": "recommend",
    "Simulation": "simulate",
    "Workload": "usage",
    "figures": "outcome",
    "judge": "verdict",
    "learn_from": "offers",
    "make_frontier": "frontier",
    "make_policy": "policies",
    "ratio_at": "frontier",
    "recommend": "recommend",
    "scale_at": "frontier",
    "simulate": "simulate",
    "workloads": "usage",
}

__all__ = [*_HOMES]

__getattr__ = lazily(__name__, _HOMES)
