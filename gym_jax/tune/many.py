"""Several trials at once: those that can share a program in one, the others one after the other."""

from collections.abc import Mapping, Sequence

from gym_jax.config.schema import Config
from gym_jax.errors import ConfigError, DataError
from gym_jax.run.own import alike
from gym_jax.tune.folder import Search
from gym_jax.tune.together import TrialJudge, run_together, shares
from gym_jax.tune.trial import Outcome, Way, run_trial


def in_programs(configs: Mapping[int, Config]) -> list[list[int]]:
    """Return the numbers of configurations by the program that trains them; those that share none stand alone."""
    numbers = [number for number, config in configs.items() if shares(config)]
    groups = [[numbers[place] for place in group] for group in alike([configs[number] for number in numbers])]
    return sorted([*groups, *([number] for number in configs if number not in numbers)])


def run_trials(
    search: Search, configs: Mapping[int, Config], way: Way, judge: TrialJudge | None = None
) -> dict[int, Outcome]:
    """Run trials by their numbers and return how they ended. Raises Interrupted when a signal came."""
    found: dict[int, Outcome] = {}
    for group in in_programs(configs):
        found |= _run(search, group, configs, way, judge)
        if any(outcome.state == "stopped" for outcome in found.values()):
            break
    return {number: found.get(number, Outcome("stopped")) for number in configs}


def _run(
    search: Search, group: Sequence[int], configs: Mapping[int, Config], way: Way, judge: TrialJudge | None
) -> dict[int, Outcome]:
    if len(group) == 1:
        number = group[0]
        one = None if judge is None else lambda epoch, value: judge(number, epoch, value)
        return {number: run_trial(configs[number], search.trial(number), way, one)}
    trials = {number: (configs[number], search.trial(number)) for number in group}
    try:
        return run_together(trials, search.batch(group[0]), way, judge)
    except (ConfigError, DataError) as error:
        return dict.fromkeys(group, Outcome("failed", reason=error.message))
