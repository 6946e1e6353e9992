"""Allocations against what was used: policies, walked forward and compared at equal violation, and recommendations.

Names are resolved on first use: who only rounds an amount does not load JAX.
"""

from typing import TYPE_CHECKING

from gym_jax.lazy import lazily

if TYPE_CHECKING:
    from gym_jax.allocate.frontier import make_frontier as make_frontier
    from gym_jax.allocate.frontier import ratio_at as ratio_at
    from gym_jax.allocate.frontier import scale_at as scale_at
    from gym_jax.allocate.learned import Learned as Learned
    from gym_jax.allocate.learned import Recipe as Recipe
    from gym_jax.allocate.offers import learn_from as learn_from
    from gym_jax.allocate.outcome import Figures as Figures
    from gym_jax.allocate.outcome import Outcome as Outcome
    from gym_jax.allocate.outcome import figures as figures
    from gym_jax.allocate.price import Price as Price
    from gym_jax.allocate.protocol import Protocol as Protocol
    from gym_jax.allocate.recommend import Recommendation as Recommendation
    from gym_jax.allocate.recommend import recommend as recommend
    from gym_jax.allocate.registry import POLICIES as POLICIES
    from gym_jax.allocate.registry import make_policy as make_policy
    from gym_jax.allocate.simulate import Simulation as Simulation
    from gym_jax.allocate.simulate import simulate as simulate
    from gym_jax.allocate.usage import Workload as Workload
    from gym_jax.allocate.usage import workloads as workloads
    from gym_jax.allocate.verdict import judge as judge

_HOMES = {
    "POLICIES": "registry",
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
    "make_policy": "registry",
    "ratio_at": "frontier",
    "recommend": "recommend",
    "scale_at": "frontier",
    "simulate": "simulate",
    "workloads": "usage",
}

__all__ = [*_HOMES]

if not TYPE_CHECKING:  # type checkers know the names by the imports above, and no others
    __getattr__ = lazily(__name__, _HOMES)
