"""Settings from the environment: `GYMJAX_OPTIM_LR=3e-4` is `optim.lr=3e-4`."""

from collections.abc import Mapping
from typing import NamedTuple

from gym_jax.config.keys import all_keys, keys_of_plugins, sections
from gym_jax.config.schema import CHOICES
from gym_jax.errors import ConfigError, nearest
from gym_jax.plugins import SWITCH

PREFIX = "GYMJAX_"
GROUP = frozenset({"GYMJAX_COORDINATOR", "GYMJAX_PROCESSES", "GYMJAX_PROCESS"})
"""What tells a process which of several it is: `train/processes.py`."""
RESERVED = frozenset({"GYMJAX_DEBUG", "GYMJAX_DATA", "GYMJAX_LAUNCH", SWITCH}) | GROUP
"""Variables that are no settings: tracebacks on, the folder of real traces that tests read, that of a launcher,
plug-ins off, and which of several processes this is."""


class Variable(NamedTuple):
    """One setting from the environment."""

    name: str
    key: str
    value: str


def variable_of(key: str) -> str:
    """Return the name of the variable of a dotted key."""
    return PREFIX + key.upper().replace(".", "_")


def read_variables(environ: Mapping[str, str]) -> tuple[list[Variable], list[ConfigError]]:
    """Return the settings that the environment holds, and what is wrong with others that were meant as such.

    A name that resembles no setting is somebody else's: Kubernetes makes GYMJAX_SERVICE_HOST of a service `gymjax`.
    """
    known = {variable_of(key): key for key in all_keys()} | {variable_of(section): section for section in CHOICES}
    for section in CHOICES:
        if any(name.startswith(f"{variable_of(section)}_") and name not in known for name in environ):
            known |= {variable_of(key): key for key in keys_of_plugins(section)}
    found: list[Variable] = []
    problems: list[ConfigError] = []

    def refuse(message: str, hint: str) -> None:
        problems.append(ConfigError(message, hint=hint, attempt=f"unset {name}", code="config.unknown_key"))

    for name in sorted(environ):
        if name in known:
            found.append(Variable(name, known[name], environ[name]))
        elif not name.startswith(PREFIX) or name in RESERVED:
            continue
        elif name in map(variable_of, map(".".join, sections())):
            example = next(other for other in known if other.startswith(f"{name}_"))
            refuse(f"variable `{name}` names a section", f"a variable is one setting, such as `{example}`")
        elif meant := _meant(name, known):
            refuse(f"unknown variable `{name}` in the environment", f"did you mean `{meant}`, for `{known[meant]}`?")
        elif ours := [path[0] for path in sections() if name.startswith(f"{variable_of(path[0])}_")]:
            refuse(f"unknown variable `{name}` in the environment", f"`{ours[0]}` has no such setting")
    return found, problems


def _meant(name: str, known: Mapping[str, str]) -> str | None:
    """Return the variable that a name nearly is, or would be with its section."""
    word = name.removeprefix(PREFIX)
    if lone := [variable for variable, key in known.items() if key.split(".")[-1] == word.lower()]:
        return min(lone, key=lambda variable: known[variable].count("."))
    close = nearest(word, [variable.removeprefix(PREFIX) for variable in known], likeness=0.8)
    return close and PREFIX + close
