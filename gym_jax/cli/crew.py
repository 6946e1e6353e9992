"""What is said of the members of a group: who trains, who leaves, who was best."""

from typing import Any


def crew_line(facts: dict[str, Any]) -> str:
    """Return the line that says which seeds are trained together, and how they share the devices."""
    first, count = facts["first_seed"], facts["seeds"]
    share = "" if facts["packing"] == "auto" else f", {pack_words(facts)}"
    return f"{count} members at once, seeds {first} to {first + count - 1}{share}"


def pack_words(facts: dict[str, Any]) -> str:
    """Return a pack, or a layout, in words, without how it is compiled."""
    name = facts.get("packing", facts["placement"])
    over = f" over {facts['placement']}" if name == "loop" and facts["placement"] != "one" else ""
    return f"{name}{over}" + (f" on {facts['devices']} devices" if facts["devices"] > 1 else "")


def crew_words(facts: dict[str, Any]) -> str:
    """Return how many members still train; nothing of a single run."""
    return f"  {facts['training']} of {facts['seeds']} training" if "training" in facts else ""


def leaving_line(facts: dict[str, Any]) -> str:
    """Return the line that says why a member has left."""
    name = "trial" if "trial" in facts else "seed"
    if "reason" in facts:
        return f"{name} {facts[name]} is lost: {facts['reason']}; the others go on"
    best = f"best epoch {facts['best_epoch']} (val_loss {facts['val_loss']:.5g})"
    return f"{name} {facts[name]} stopped early after epoch {facts['epoch']}; {best}"


def crew_closing(facts: dict[str, Any]) -> str:
    """Return the line that says how the members ended."""
    best, count = facts["best"], facts["seeds"]
    early = f"{facts['stopped_early']} of {count} members stopped early; " if facts["stopped_early"] else ""
    lost = f"{len(facts['lost'])} of {count} diverged; " if facts["lost"] else ""
    mean = f", mean of all {best['mean_val_loss']:.5g}" if "mean_val_loss" in best else ""
    value = f" (val_loss {best['val_loss']:.5g}{mean})" if "val_loss" in best else ""
    if not value:
        return f"{early}{lost}each ended with its last step"
    return f"{early}{lost}each restored its best epoch; best is seed {best['seed']}, epoch {best['epoch']}{value}"
