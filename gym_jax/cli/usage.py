"""What Typer refuses, as an error that says what was meant."""

import re

import typer

from gym_jax.errors import ConfigError

ELSEWHERE = {"fit": "train", "test": "evaluate", "validate": "evaluate", "forecast": "predict"}
"""Commands as other libraries call them."""


def usage_error(error: typer.exceptions.TyperException, command: str) -> ConfigError:
    """Return what is wrong with a line that names this command, or none."""
    text = error.format_message().strip() or "a command is missing"  # its help has been printed
    message, _, hint = text.partition(" Did you mean ")
    if "(Possible options:" in message:
        message, _, options = message.partition(" (Possible options:")
        hint = f"{options.strip(' )')}?"
    message = re.sub(r"Value error, |, unable to parse .*", "", message).replace(": Input", ": input")
    if option := re.fullmatch(r"(?i)no such option: --([\w-]+)", message):
        from gym_jax.config.keys import all_keys

        named = [key for key in all_keys() if key.split(".")[-1] == option[1].replace("-", "_")]
        hint = f"`{min(named, key=len)}=...`?" if named else hint
    if word := next((word for word in ELSEWHERE if f"command '{word}'" in message), None):
        hint = f"'{ELSEWHERE[word]}'?"
    return ConfigError(
        f"{message[:1].lower()}{message[1:]}".rstrip("."),
        hint=f"did you mean {hint}" if hint else "what it takes is listed there",
        attempt=" ".join(["gymjax", *command.split(), "--help"]),
        code="usage",
    )
