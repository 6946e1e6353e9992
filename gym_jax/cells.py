"""Values as people read them, in tables of the terminal and of pages."""

from typing import Any


def cell(value: Any, nothing: str = "-") -> str:
    """Return a value as people read it: four digits, thousands apart; `nothing` for None."""
    if value is None:
        return nothing
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.3e}"
    if isinstance(value, list | tuple):
        return ", ".join(cell(item, nothing) for item in value)
    return str(value)
