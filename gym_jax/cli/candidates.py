"""What a half-typed word can become: keys, kinds, values, configurations, runs. Loads nothing but a JSON file.

The shell sets `_GYMJAX_COMPLETE`; the parameter under the cursor asks the functions here.
"""

import contextlib
import json
import os
import re
import shlex
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import typer

from gym_jax.cli.log import LOUDNESS, WORDS, parse_output
from gym_jax.errors import ConfigError
from gym_jax.plugins import names_in

COMPLETE = "_GYMJAX_COMPLETE"
KEYS = Path(__file__).with_name("keys.json")
"""Every setting and the words it takes; `python -m gym_jax.cli.complete` writes it."""
GROUPS = {"model": "models", "model.kind": "models", "loss": "losses", "loss.kind": "losses"}
"""Settings that plug-ins of a group add to."""
ANYWHERE = ("--debug", *LOUDNESS, *WORDS)


def load_keys() -> dict[str, list[str]]:
    """Return every setting with the words it takes; a number or a name takes none in particular."""
    return dict(json.loads(KEYS.read_text(encoding="utf-8")))


def complete_override(incomplete: str) -> list[str]:
    """Return the settings that begin so, or, after the `=`, the values of one."""
    sign = re.match(r"[+~]*", incomplete)[0]  # type: ignore[index]
    key, equals, _ = incomplete.removeprefix(sign).partition("=")
    keys = load_keys()
    if not equals:
        return [f"{sign}{name}{'' if sign == '~' else '='}" for name in keys if name.startswith(key)]
    groups = [path.stem for path in _shipped(f"{key}/*.yaml")] if "." not in key else []
    added = names_in(GROUPS[key]) if key in GROUPS else ()
    return [f"{sign}{key}={value}" for value in dict.fromkeys([*keys.get(key, ()), *groups, *added])]


def complete_kind(incomplete: str) -> list[str]:
    """Return the model kinds."""
    return list(dict.fromkeys([*load_keys()["model"], *names_in("models")]))


def complete_loss(incomplete: str) -> list[str]:
    """Return the losses."""
    return list(dict.fromkeys([*load_keys()["loss"], *names_in("losses")]))


def complete_dataset(incomplete: str) -> list[str]:
    """Return the kinds of generated data."""
    return ["panel", "table", *names_in("datasets")]


def complete_plot(incomplete: str) -> list[str]:
    """Return the plots of plug-ins."""
    return list(names_in("plots"))


def complete_config(incomplete: str) -> list[str]:
    """Return the shipped configurations and the YAML files here and one folder down."""
    folder = incomplete.rpartition("/")[0]
    place = Path(folder).expanduser() if folder else Path("/" if incomplete.startswith("/") else ".")
    prefix = f"{folder}/" if "/" in incomplete else ""
    here = sorted(str(path.relative_to(place)) for glob in ("*.yaml", "*/*.yaml") for path in place.glob(glob))
    names = [path.stem for path in _shipped("*.yaml")] if not prefix else []
    return names + [f"{prefix}{name}" for name in here if not name.startswith(".")]


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the runs under --root or GYMJAX_RUN_ROOT, and `latest`."""
    root = Path(ctx.params.get("root") or os.environ.get("GYMJAX_RUN_ROOT") or "runs").expanduser()
    names = sorted(path.parent.name for path in root.glob("*/config.yaml"))
    return ["latest", *names] if names else []


def complete_explained(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what can be explained: runs, the codes of errors, and what lists them."""
    from gym_jax.cli.codes import ALL, load_explanations

    return [*complete_run(ctx, incomplete), ALL, *load_explanations()]


def complete_resume(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what --resume takes: `auto` and the runs."""
    return ["auto", *complete_run(ctx, incomplete)]


def complete_tracker(incomplete: str) -> list[str]:
    """Return the trackers that are not in the list yet, each behind what is."""
    from gym_jax.track import TRACKERS

    before = incomplete[: incomplete.rfind(",") + 1]
    return [f"{before}{name}" for name in TRACKERS.names() if name not in before.split(",")]


def answer(app: typer.Typer) -> int:
    """Answer the completion request in the environment.

    Bash breaks words at `=` and puts a blank after a word that is the only candidate; zsh puts the blank too. Both are
    set right here, and the options that may stand anywhere are taken out before the words are looked at.
    """
    shell = os.environ[COMPLETE].removeprefix("complete_")
    if shell not in SHELLS:  # PowerShell, or a request for the script: Typer's own answer
        return int(typer.Typer.__call__(app, [], prog_name="gymjax") or 0)
    before, incomplete, cut = _request(shell)
    found = find_candidates(typer.main.get_command(app), before, incomplete)
    if shell == "fish" and os.environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        return 0 if found else 1
    print(SHELLS[shell](found, incomplete, cut))
    return 0


def find_candidates(command: Any, before: Sequence[str], incomplete: str) -> list[tuple[str, str]]:
    """Return what the word after `before` can become, each with its help.

    Typer could say it too, but parses the words before first, and loads Pydantic for that.
    """
    if before and before[-1] in WORDS:
        return [(word, "") for word in WORDS[before[-1]] if word.startswith(incomplete)]
    with contextlib.suppress(ConfigError):
        before = parse_output([word for word in before if word != "--debug"])[1]
    context, option, arguments = typer.Context(command, info_name="gymjax"), None, 0
    for word in before:
        name, equals, value = word.partition("=")
        if option is not None:
            context.params[option.name], option = word, None
        elif name.startswith("-"):
            option = _option(context, name)
            if option is not None and equals:
                context.params[option.name], option = value, None
        elif commands := getattr(context.command, "commands", None):
            if word not in commands:
                return []
            context = typer.Context(commands[word], info_name=word, parent=context)
        else:
            arguments += 1
    name, equals, value = incomplete.partition("=")
    if option is None and name.startswith("-"):
        if not equals:
            return _options(context, incomplete)
        option = _option(context, name)
        return [(f"{name}={word}", text) for word, text in _values(context, option, value)]
    if option is not None:
        return _values(context, option, incomplete)
    commands = getattr(context.command, "commands", {})
    if commands:
        return [(k, v.get_short_help_str()) for k, v in commands.items() if k.startswith(incomplete)]
    open_ones = [param for param in context.command.params if param.param_type_name == "argument"]
    index = next((i for i, param in enumerate(open_ones) if param.nargs < 0 or i >= arguments), None)
    return [] if index is None else _values(context, open_ones[index], incomplete)


def _option(context: typer.Context, name: str) -> Any:
    """Return the option of a name that takes a value, None when there is none."""
    found = [param for param in context.command.params if name in param.opts]
    flag = found and (getattr(found[0], "is_flag", False) or getattr(found[0], "count", False))
    return found[0] if found and not flag else None


def _options(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    params = [param for param in context.command.get_params(context) if param.param_type_name == "option"]
    found = {name: getattr(param, "help", None) or "" for param in params for name in param.opts}
    found = {**dict.fromkeys(ANYWHERE, ""), **found}
    return [(name, text) for name, text in found.items() if name.startswith(incomplete)]


def _values(context: typer.Context, param: Any, incomplete: str) -> list[tuple[str, str]]:
    items = param.shell_complete(context, incomplete) if param is not None else []
    return [(item.value, item.help or "") for item in items if item.type == "plain"]


def _request(shell: str) -> tuple[list[str], str, int]:
    """Return the words before the cursor, the one under it, and how many of its letters the shell counts apart."""
    if shell == "bash":
        words = os.environ["COMP_WORDS"].split("\n")[1 : int(os.environ["COMP_CWORD"]) + 1]
        joined: list[str] = []
        for n, word in enumerate(words):
            if joined and "=" in (word, words[n - 1]):
                joined[-1] += word
            else:
                joined.append(word)
        *before, incomplete = joined or [""]
        cut = incomplete.rfind("=") + 1 if len(joined) < len(words) and "=" in words[-2:] else 0
        return [_unquoted(word) for word in before], incomplete.lstrip("'\""), cut
    text = os.environ.get("_TYPER_COMPLETE_ARGS", "")
    words = text.split()[1:]
    *before, incomplete = words if words and not text.endswith(" ") else [*words, ""]
    return [_unquoted(word) for word in before], incomplete.lstrip("'\""), 0


def _unquoted(word: str) -> str:
    try:
        return "".join(shlex.split(word))
    except ValueError:
        return word


def _bash(found: Sequence[tuple[str, str]], incomplete: str, cut: int) -> str:
    values = [value[cut:] for value, _ in found]
    if len(values) == 1 and values[0].endswith("="):
        values.append(f"{values[0]}...")  # a second candidate keeps bash from ending the word with a blank
    return "\n".join(values)


def _zsh(found: Sequence[tuple[str, str]], incomplete: str, cut: int) -> str:
    if not found:
        return "compset -P '*='; _files" if "=" in incomplete else "_files"
    if any(value.endswith("=") for value, _ in found):
        return "compadd -S '' -- " + " ".join(shlex.quote(value) for value, _ in found)

    def escape(text: str) -> str:
        return re.sub(r'([\\"$`:])', r"\\\1", text).replace("\\:", "\\\\:")

    words = (f'"{escape(value)}":"{escape(text)}"' if text else f'"{escape(value)}"' for value, text in found)
    return f"_arguments '*: :(({' '.join(words)}))'".replace("\n", " ")


def _fish(found: Sequence[tuple[str, str]], incomplete: str, cut: int) -> str:
    return "\n".join(f"{value}\t{text}" if text else value for value, text in found)


SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def _shipped(glob: str) -> list[Path]:
    return sorted(Path(str(files("gym_jax.configs"))).glob(glob))
