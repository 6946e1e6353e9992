"""Allocations against what was used: policies, walked forward and compared at equal violation, and recommendations."""

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

__all__ = [
    "POLICIES",
    "Figures",
    "Learned",
    "Outcome",
    "Price",
    "Protocol",
    "Recipe",
    "Recommendation",
    "Simulation",
    "Workload",
    "figures",
    "judge",
    "learn_from",
    "make_frontier",
    "make_policy",
    "ratio_at",
    "recommend",
    "scale_at",
    "simulate",
    "workloads",
]
