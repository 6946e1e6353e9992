"""A group in its folder: a run whose `members/SEED` are runs of one seed each, trained and judged together."""

from typing import Any, Literal

from gym_jax.errors import CheckpointError
from gym_jax.run.folder import RunFolder

MEMBERS = "members"
Members = Literal["mean", "best"]
"""Who answers for a group: the mean of its members, or the one with the lowest validation loss."""


def is_group(run: RunFolder) -> bool:
    """Return whether a run holds members."""
    return (run.path / MEMBERS).is_dir()


def group_of(run: RunFolder) -> RunFolder | None:
    """Return the group that a run is a member of, if it is one."""
    group = RunFolder(run.path.parent.parent)
    return group if run.path.parent.name == MEMBERS and (group.path / "config.yaml").is_file() else None


def member_run(run: RunFolder, seed: int) -> RunFolder:
    """Return the folder of one member."""
    return RunFolder(run.path / MEMBERS / str(seed))


def members_of(run: RunFolder) -> dict[int, RunFolder]:
    """Return the members of a group by their seeds."""
    found = [
        path for path in (run.path / MEMBERS).glob("*") if path.name.isdigit() and (path / "config.yaml").is_file()
    ]
    return {int(path.name): RunFolder(path) for path in sorted(found, key=lambda path: int(path.name))}


def is_lost(run: RunFolder) -> bool:
    """Return whether a member has diverged: it neither goes on nor answers with the others."""
    status = run.read_json("status.json")
    return status.get("status") == "failed" and "left" in status


def sound_members(run: RunFolder) -> dict[int, RunFolder]:
    """Return the members of a group that have not diverged. Raises CheckpointError when all have."""
    members = members_of(run)
    sound = {seed: folder for seed, folder in members.items() if not is_lost(folder)}
    if not sound:
        raise CheckpointError(
            f"every member of {run.path} has diverged",
            hint="a lower learning rate or stricter clipping is the usual cure",
            attempt="gymjax train ... optim.lr=1e-4 train.clip=0.5",
            code="checkpoint.none",
        )
    return sound


def best_member(run: RunFolder) -> RunFolder:
    """Return the member with the lowest validation loss so far. Raises CheckpointError when none was validated."""
    losses = {seed: _best_loss(folder) for seed, folder in sound_members(run).items()}
    known = {seed: loss for seed, loss in losses.items() if loss is not None}
    if not known:
        first = member_run(run, min(losses)).path
        raise CheckpointError(
            f"no member of {run.path} was validated, so none is the best",
            hint="name a member by its own folder",
            attempt=f"gymjax predict {first}",
            code="checkpoint.none",
        )
    return member_run(run, min(known, key=known.__getitem__))


def lost_note(run: RunFolder) -> list[str]:
    """Return a note when members have diverged."""
    members = members_of(run)
    return note_of([seed for seed, folder in members.items() if is_lost(folder)], len(members))


def note_of(lost: list[int], count: int) -> list[str]:
    """Return a note that names the seeds which diverged, out of so many; none when none did."""
    seeds = f"seed{'s' if len(lost) > 1 else ''} {', '.join(map(str, lost))}"
    return [f"{len(lost)} of {count} members diverged and are left out: {seeds}"] if lost else []


def _best_loss(run: RunFolder) -> Any:
    """Return the lowest validation loss of a member up to its newest checkpoint; None when there is none."""
    from gym_jax.run.snapshot import read_stopping  # not above: these load JAX, and a list of runs does not
    from gym_jax.train.checkpoint import read_metadata, saved_steps

    steps = saved_steps(run.checkpoints)
    stopping = read_stopping(read_metadata(run.checkpoints / str(steps[-1]))) if steps else None
    return stopping.best if stopping and stopping.best_step else None
