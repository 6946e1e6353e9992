"""What every code of an error means, why it is refused and what to do: read from explanations/, shown as asked."""

import re
import shutil
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer

from gym_jax.errors import EXIT_CODES, ConfigError, did_you_mean, nearest

FOLDER = Path(__file__).with_name("explanations")
"""A file for each area: `[data.gaps]` with `exit`, `what`, `why` and `do`."""
ALL = "codes"
"""The word that stands for every code."""
LONGEST = 100
"""Characters of a line, on however wide a terminal."""


class Way(NamedTuple):
    """Something that a user can do about an error: in words, and what to type where there is something to type."""

    how: str
    attempt: str | None = None


class Explanation(NamedTuple):
    """What the code of an error means."""

    code: str
    what: str
    why: str
    ways: tuple[Way, ...]
    exit_codes: tuple[int, ...]
    """What the command line leaves with; several where it depends on who finds it."""

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        ways = [{"how": way.how, "try": way.attempt} for way in self.ways]
        return {"code": self.code, "exit_codes": list(self.exit_codes), "what": self.what, "why": self.why, "do": ways}

    def exits(self) -> str:
        """Return its exit codes in words."""
        words = " or ".join(f"{code} ({EXIT_CODES[code]})" for code in self.exit_codes)
        return f"exit code {words}"


def load_explanations() -> dict[str, Explanation]:
    """Return the explanation of every code, in the order of the codes."""
    found: dict[str, Explanation] = {}
    for path in FOLDER.glob("*.toml"):
        for area, entries in tomllib.loads(path.read_text(encoding="utf-8")).items():
            named = {area: entries} if "what" in entries else {f"{area}.{name}": one for name, one in entries.items()}
            found |= {code: _explanation(code, entry) for code, entry in named.items()}
    return dict(sorted(found.items()))


def _explanation(code: str, entry: Mapping[str, Any]) -> Explanation:
    exits = entry["exit"] if isinstance(entry["exit"], list) else [entry["exit"]]
    ways = tuple(Way(*way) for way in entry["do"])
    return Explanation(code, entry["what"], " ".join(entry["why"].split()), ways, tuple(exits))


def find_explanations(word: str) -> list[Explanation]:
    """Return what a word stands for: a code, all of an area, all with `codes`; nothing when it resembles none.

    Raises ConfigError when it looks like a code and is none.
    """
    known = load_explanations()
    if word in known:
        return [known[word]]
    chosen = [one for code, one in known.items() if word == ALL or code.startswith(f"{word}.")]
    dotted = re.fullmatch(r"[a-z_]+\.[a-z_]+", word) is not None
    words = [ALL, *known, *{code.partition(".")[0] for code in known}]
    meant = nearest(word, words, likeness=0.6 if dotted else 0.8)
    if not chosen and (dotted or meant):
        raise ConfigError(
            f"`{word}` is neither a run nor the code of an error",
            hint=did_you_mean(word, words) if meant else "codes of plug-ins are explained by their packages",
            attempt=f"gymjax explain {meant or ALL}",
            code="usage",
        )
    return chosen


def refuse_options(ctx: typer.Context) -> None:
    """Raise ConfigError when an option is given that is about runs."""
    given = [
        name
        for name in ctx.params
        if name not in ("run", "root", "as_json")
        and getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise ConfigError(
            f"--{given[0].replace('_', '-')} does not go with the code of an error",
            hint="it is of the explanation of a run",
            attempt=f"gymjax explain {ctx.params['run']}",
            code="usage",
        )


def show_explanations(found: Sequence[Explanation], as_json: bool) -> None:
    """Print one explanation whole, several with a line each."""
    from gym_jax.cli.show import print_json, print_table

    if len(found) == 1 and as_json:
        print_json("explain", found[0].document())
    elif len(found) == 1:
        print(text_of(found[0], min(LONGEST, shutil.get_terminal_size((LONGEST, 0)).columns)))
    elif as_json:
        print_json("explain", {ALL: [one.document() for one in found]})
    else:
        print_table(
            ("code", "exit", "what"), [(one.code, "/".join(map(str, one.exit_codes)), one.what) for one in found]
        )


def text_of(one: Explanation, width: int) -> str:
    """Return an explanation for people; what is to be typed is never broken."""
    width = max(40, width)
    parts = [textwrap.fill(f"{one.code}: {one.what}", width), "", textwrap.fill(one.why, width), "", "what to do:"]
    for way in one.ways:
        parts.append(textwrap.fill(way.how, width, initial_indent="- ", subsequent_indent="  "))
        parts += [f"    {way.attempt}"] if way.attempt else []
    return "\n".join([*parts, "", one.exits()])
