"""The members of a group while they train: a session each, saved together, taken up at a step that all have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gym_jax.config.migrate import SCHEMA_VERSION
from gym_jax.config.schema import Config
from gym_jax.errors import CheckpointError, Diverged
from gym_jax.run.ending import fail
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import is_lost, member_run
from gym_jax.run.plan import Plan, columns, fresh_states
from gym_jax.run.session import Session
from gym_jax.run.snapshot import read_stopping
from gym_jax.run.start import find_start, keep_settings, unnamed
from gym_jax.run.trouble import trouble_of
from gym_jax.train.checkpoint import read_metadata, saved_steps
from gym_jax.train.loop import Position


@dataclass
class Member:
    """One model of a group."""

    who: tuple[str, int]
    """What it is called among the others, such as `("seed", 3)`."""
    config: Config
    """Its settings: those of a run of its own."""
    session: Session
    left: int | None = None
    """Epochs after which it left the group, finished or lost; None while it trains."""
    fault: Diverged | None = None
    """Why it was lost."""
    lines: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Its lines of metrics.jsonl that the group's have not caught up with, by epoch."""

    @property
    def folder(self) -> RunFolder:
        """Its own run folder."""
        return self.session.folder

    @property
    def seed(self) -> int:
        """Of its weights, dropout and order."""
        return self.config.train.seed

    @property
    def named(self) -> dict[str, int]:
        """Its name, as events and logs hold it."""
        return dict([self.who])

    def lose(self, error: Diverged, epochs: int) -> None:
        """Take a diverged member out of the group, in which it had begun so many epochs."""
        self.left, self.fault = epochs, error
        fail(self.folder, error, left=epochs)

    def finish(self) -> None:
        """Save a member whose time is up, and take it out of the group."""
        try:
            self.session.save()
        except Diverged as error:
            self.lose(error, self.session.position.epoch)
            return
        self.left = self.session.position.epoch


Crew = Mapping[tuple[str, int], tuple[Config, RunFolder]]
"""The settings and the run folder of every member, by what it is called."""


def training(members: Sequence[Member]) -> list[Member]:
    """Return the members that still train."""
    return [member for member in members if member.left is None]


def seeds_of(config: Config) -> range:
    """Return the seeds of a group."""
    return range(config.train.seed, config.train.seed + config.train.seeds)


def of_seed(config: Config, seed: int) -> Config:
    """Return the settings of one member: those of a run of its own."""
    train = config.train.model_copy(update={"seed": seed, "seeds": 1})
    return unnamed(config.model_copy(update={"train": train}))


def crew_of(plan: Plan, run: RunFolder) -> Crew:
    """Return the members of a group of seeds."""
    return {("seed", seed): (of_seed(plan.config, seed), member_run(run, seed)) for seed in seeds_of(plan.config)}


def make_folders(plan: Plan, run: RunFolder, crew: Crew) -> None:
    """Make the run folder of every member that has none yet."""
    for config, folder in crew.values():
        if not (folder.path / "config.yaml").exists():
            with folder._storage():
                folder.path.mkdir(parents=True, exist_ok=True)
            for name in ("env.json", "data.json"):
                folder.write_json(name, run.read_json(name))
            folder.write_json("choices.json", {"chunk": plan.chunk})
        keep_settings(folder, config)


def open_members(
    plan: Plan, run: RunFolder, crew: Crew, given_up: Mapping[tuple[str, int], int] | None = None
) -> tuple[list[Member], bool]:
    """Return the members where they stand, and whether they go on from a save; some were `given_up` after an epoch.

    Those that train stand at the newest step that all of them have; metrics.jsonl of all and of the group is cut back
    to it. Raises CheckpointError when they were saved together before and no such step is left.
    """
    begin = fresh_states(plan)
    facts, like = {"schema": SCHEMA_VERSION, **columns(plan)}, begin(plan.config.train.seed)
    members = []
    for who, (config, folder) in crew.items():
        known = {**facts, "config": config.document()}
        session = Session(folder, known, like, trouble=trouble_of(plan, config.train.seed))
        member = Member(who, config, session)
        member.session.mend()
        status = folder.read_json("status.json")
        if given_up and who in given_up:
            member.left = given_up[who]
        elif is_lost(folder):
            member.left, member.fault = status["left"], Diverged(status["reason"])
        elif _is_over(folder, config):
            member.session.restore()
            member.left = member.session.position.epoch
        members.append(member)
    live = training(members)
    common = set.intersection(*(set(saved_steps(member.folder.checkpoints)) for member in live)) if live else set()
    if live and not common and run.read_json("status.json").get("saved") is not None:
        raise CheckpointError(
            f"the members of {run.path} have no step in common, although they were saved together before",
            hint="their checkpoints were moved or damaged, or one of them went on by itself",
            attempt=f"ls {run.path}/members/*/checkpoints",
        )
    for member in live:
        if not common:
            own = plan._replace(config=member.config)
            member.session.state = find_start(own, begin(member.seed)).state
        member.session.restore(max(common, default=-1))
    if live:
        _cut_lines(run, members, live[0].session)
    if live and not common and plan.config.train.init_from:
        save_together(run, live)  # the other run may be gone when this one is taken up again
    return members, bool(common) or not live


def save_together(run: RunFolder, live: Sequence[Member]) -> None:
    """Save the members that train. What they had before is dropped when all have the new step; a lost one is out."""
    for member in live:
        try:
            member.session.write()
        except Diverged as error:
            member.lose(error, member.session.position.epoch + 1)
    if live := training(live):
        session = live[0].session
        run.status(epochs=session.position.epoch, steps=session.step, saved=session.step)
    for member in live:
        member.session.drop()


def _is_over(folder: RunFolder, config: Config) -> bool:
    """Return whether a member has been saved where its training ends."""
    steps = saved_steps(folder.checkpoints)
    if not steps:
        return False
    metadata = read_metadata(folder.checkpoints / str(steps[-1]))
    over = Position(*metadata["position"]).epoch >= config.train.epochs
    return over or read_stopping(metadata).exhausted(config.train.patience)


def _cut_lines(run: RunFolder, members: Sequence[Member], session: Session) -> None:
    """Cut the group's metrics.jsonl back to where its members stand; keep what those that left know beyond it."""
    lines = run.read_lines("metrics.jsonl")
    run.rewrite_lines("metrics.jsonl", [line for line in lines if line["step"] <= session.step])
    for member in members:
        if member.left is not None:
            found = member.folder.read_lines("metrics.jsonl")
            member.lines = {line["epoch"]: line for line in found if line["epoch"] > session.position.epoch}
