"""Plug-ins: what installed packages add to the registries, found by the entry points they declare.

A package names a thing under `gym_jax.models`, `gym_jax.losses`, `gym_jax.metrics`, `gym_jax.datasets`,
`gym_jax.trackers`, `gym_jax.policies` or `gym_jax.plots`. Names come from the metadata of installed packages; the code
of a plug-in is imported when its name is asked for. Nothing else can name code: neither a setting nor a file.
"""

import logging
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gym_jax.errors import MissingExtra, did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
LOGGER = logging.getLogger(__name__)
GROUPS = ("models", "losses", "metrics", "datasets", "trackers", "policies", "plots")
SWITCH = "GYMJAX_PLUGINS"
"""The variable that switches all plug-ins off: `GYMJAX_PLUGINS=0`."""
OFF = ("0", "false", "no", "off")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
"""What a plug-in may be called: its name stands in files, and in the names of folders."""
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
"""What packages and versions are made of."""


class Plugin(NamedTuple):
    """A thing that an installed package adds; `entry` says where it is, and is not imported yet.

    >>> entry = EntryPoint("gru", "gru_model:GRU", "gym_jax.models")
    >>> plugin = Plugin("models", "gru", "gru-model", "1.0", entry)
    >>> plugin.words
    'plug-in `gru` (models) of gru-model 1.0'
    """

    group: str
    """What it adds: one of `GROUPS`."""
    name: str
    """By which it is asked for."""
    package: str
    """The package that was installed."""
    version: str
    """Of that package."""
    entry: "EntryPoint"
    """Where its code is."""

    @property
    def words(self) -> str:
        """What it is, for messages."""
        return f"plug-in `{self.name}` ({self.group}) of {self.package} {self.version}"

    @property
    def facts(self) -> dict[str, str]:
        """What it is, as plain JSON."""
        return {"group": self.group, "name": self.name, "package": self.package, "version": self.version}


def enabled() -> bool:
    """Return whether plug-ins are looked for.

    >>> os.environ["GYMJAX_PLUGINS"] = "0"
    >>> enabled()
    False
    >>> del os.environ["GYMJAX_PLUGINS"]
    """
    return os.environ.get(SWITCH, "").strip().lower() not in OFF


def installed(group: str) -> tuple[Plugin, ...]:
    """Return the plug-ins of a group by name; none when they are switched off.

    >>> isinstance(installed("models"), tuple)
    True
    """
    return tuple(plugin for plugin in scan() if plugin.group == group) if enabled() else ()


def names_in(group: str) -> tuple[str, ...]:
    """Return the names in a group that can be asked for, each once.

    >>> isinstance(names_in("models"), tuple)
    True
    """
    return tuple(dict.fromkeys(plugin.name for plugin in installed(group) if NAME.fullmatch(plugin.name)))


@cache
def scan() -> tuple[Plugin, ...]:
    """Return every plug-in there is, switched off or not, by group and name; the metadata are read once a process.

    >>> all(plugin.group in GROUPS for plugin in scan())
    True
    """
    from importlib.metadata import entry_points  # not above: completion and --help do without

    try:
        every = entry_points()
        found = [(group, entry) for group in GROUPS for entry in every.select(group=f"gym_jax.{group}")]
        plugins = [Plugin(group, entry.name, *_package(entry), entry) for group, entry in found]
    except Exception as error:  # of any package that is installed
        LOGGER.warning("the metadata of installed packages can not be read, no plug-in is found: %s", one_line(error))
        return ()
    return tuple(sorted(plugins, key=lambda plugin: (GROUPS.index(plugin.group), plugin.name, plugin.package)))


class Registry(dict[str, T]):
    """The house's own things by name; `registry[name]` finds those of plug-ins as well.

    Iterating, `in` and `len` are of the house's own, so that nothing of a plug-in is imported unasked; `names` has all.

    >>> colours = Registry("plots", {"ink": len}, function)
    >>> colours["ink"]("abc"), "paper" in colours, colours.unknown("inc")
    (3, False, 'did you mean `ink`?')
    """

    def __init__(
        self,
        group: str,
        own: Mapping[str, T],
        make: Callable[[str, Any], T],
        taken: Collection[str] = (),
    ) -> None:
        """Begin with the house's `own`; `make(name, thing)` returns an entry, and raises when it is none.

        `taken` are names beside its own that no plug-in may have.
        """
        super().__init__(own)
        self.group, self._make, self._taken = group, make, taken
        self._made: dict[Plugin, T] = {}

    def is_own(self, name: str) -> bool:
        """Return whether a name is the house's, which no plug-in can have."""
        return name in self or name in self._taken

    def names(self) -> tuple[str, ...]:
        """Return the house's names, then those of plug-ins; nothing is imported."""
        return (*self, *(name for name in names_in(self.group) if not self.is_own(name)))

    def plugin(self, name: str) -> Plugin | None:
        """Return the plug-in of a name, None when it is the house's own or nobody's. Raises MissingExtra on two."""
        if self.is_own(name) or not NAME.fullmatch(name):
            return None
        found = [plugin for plugin in installed(self.group) if plugin.name == name]
        if not found:
            return None
        if fault := self._fault(found[0]):
            raise unusable(found[0], fault)
        return found[0]

    def __missing__(self, name: str) -> T:
        """Return the thing of a plug-in. Raises KeyError when there is none, MissingExtra when it can not be used."""
        plugin = self.plugin(name) if isinstance(name, str) else None
        if plugin is None:
            raise KeyError(name)
        if plugin not in self._made:
            try:
                self._made[plugin] = self._make(name, plugin.entry.load())
            except MissingExtra:
                raise
            except (Exception, SystemExit) as error:
                raise unusable(plugin, one_line(error)) from error
        return self._made[plugin]

    def unknown(self, name: str) -> str:
        """Return a hint at what was meant by a name that nobody has."""
        if off := [plugin for plugin in scan() if plugin.group == self.group and plugin.name == name and not enabled()]:
            return f"{off[0].package} has it, but {SWITCH} switches plug-ins off"
        return did_you_mean(name, self.names())

    def check(self) -> list[tuple[Plugin, str | None]]:
        """Return every plug-in of the group with what is wrong with it, None where nothing is; all are imported."""
        return [(plugin, self._fault(plugin) or self._failure(plugin)) for plugin in installed(self.group)]

    def _fault(self, plugin: Plugin) -> str | None:
        """Return what the metadata alone show to be wrong."""
        if not NAME.fullmatch(plugin.name):
            return "its name is none: a letter, then letters, digits, `_` and `-`"
        if self.is_own(plugin.name):
            return "gym_jax has that name itself, and nothing takes its place"
        twins = [other for other in installed(self.group) if other.name == plugin.name and other != plugin]
        return f"{twins[0].package} {twins[0].version} has that name too" if twins else None

    def _failure(self, plugin: Plugin) -> str | None:
        try:
            self[plugin.name]
        except MissingExtra as error:
            return error.message.partition(" can not be used: ")[2] or error.message
        return None


def describe(thing: Any) -> str:
    """Return what a thing is, for messages.

    >>> describe(int), describe(1)
    ('the class int', 'something of type int')
    """
    return f"the class {thing.__name__}" if isinstance(thing, type) else f"something of type {type(thing).__name__}"


def function(name: str, thing: Any) -> Any:
    """Return a function as it is; the `make` of registries of functions. Raises TypeError when it is none.

    >>> function("count", len) is len
    True
    """
    if isinstance(thing, type) or not callable(thing):
        raise TypeError(f"it is {describe(thing)}, not a function")
    return thing


def unusable(plugin: Plugin, why: str) -> MissingExtra:
    """Return the error about a plug-in that is installed and can not be used.

    >>> entry = EntryPoint("gru", "gru_model:GRU", "gym_jax.models")
    >>> unusable(Plugin("models", "gru", "gru-model", "1.0", entry), "ImportError").message
    'the plug-in `gru` (models) of gru-model 1.0 can not be used: ImportError'
    """
    return MissingExtra(
        f"the {plugin.words} can not be used: {why}",
        hint=f"that is for its package to mend; {SWITCH}=0 does without plug-ins",
        attempt="gymjax doctor",
        code="plugin.unusable",
    )


def recorded(environment: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the plug-ins that the env.json of a run names.

    It may be anybody's, and becomes a command to type: what is not made of plain words is left out.

    >>> recorded({"plugins": [{"group": "models", "name": "gru", "package": "gru-model", "version": "1.0"}]})[0]["name"]
    'gru'
    """
    kept = environment.get("plugins")
    found = [facts for facts in kept if isinstance(facts, dict)] if isinstance(kept, list) else []
    plain = [{key: str(facts.get(key, "")) for key in ("group", "name", "package", "version")} for facts in found]
    return [facts for facts in plain if all(map(WORD.fullmatch, facts.values()))]


def refuse_gone(environment: Mapping[str, Any], registries: Iterable[Registry[Any]]) -> None:
    """Raise MissingExtra when a plug-in that the env.json of a run names is no longer there.

    >>> refuse_gone({"plugins": []}, [])
    """
    known = {registry.group: registry.names() for registry in registries}
    for facts in recorded(environment):
        group, name, package, version = facts.values()
        if group in known and name not in known[group]:
            raise MissingExtra(
                f"the run was made with `{name}` ({group}) of {package} {version}, which is not there",
                hint="install that package, if you trust it" if enabled() else f"{SWITCH} switches plug-ins off",
                attempt=f"pip install {package}=={version}" if enabled() else f"unset {SWITCH}",
                code="plugin.gone",
            )


def _package(entry: "EntryPoint") -> tuple[str, str]:
    """Return name and version of the package that an entry point is of."""
    return (entry.dist.name, entry.dist.version) if entry.dist is not None else ("a package without a name", "")


def one_line(error: BaseException) -> str:
    """Return an error in one line.

    >>> one_line(ValueError("no\\nmore"))
    'ValueError: no'
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
