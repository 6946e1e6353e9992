"""Which settings the value of a trial depends on."""

import importlib.util
import math

from gym_jax.tune.study import Study, load_optuna, quiet

FEWEST = 10
"""Complete trials before anything is said."""


def importance(study: Study) -> tuple[str | None, dict[str, float]]:
    """Return the method and the share of each key, the largest first; None and {} of too few trials.

    fANOVA (Hutter et al. 2014) where scikit-learn is installed, else PED-ANOVA (Watanabe et al. 2023) of the better
    half: with few trials the former ranks better.
    """
    optuna = load_optuna()
    if sum(trial.state == "complete" for trial in study.trials()) < FEWEST:
        return None, {}
    evaluators, method = optuna.importance, "fANOVA"
    with quiet(optuna):
        if importlib.util.find_spec("sklearn") is not None:
            evaluator = evaluators.FanovaImportanceEvaluator(seed=0)
        else:
            evaluator, method = evaluators.PedAnovaImportanceEvaluator(target_quantile=0.5), "PED-ANOVA"
        try:
            found = evaluators.get_param_importances(study.journal, evaluator=evaluator)
        except (ValueError, RuntimeError, ZeroDivisionError):  # of trials that are all alike
            return None, {}
    shares = {key: float(share) for key, share in found.items() if math.isfinite(share)}
    return (method, shares) if shares else (None, {})
