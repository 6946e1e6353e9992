"""What was found while judging data: counted always, refused where the policy says so, all at once."""

from collections.abc import Iterable
from typing import NamedTuple

from gym_jax.errors import DataError, gathered


class Finding(NamedTuple):
    """One thing that was looked for; `count` of `total` `what` were so."""

    policy: str
    choice: str
    count: int  # type: ignore[assignment]
    total: int
    what: str
    text: str
    """What was seen, and what was done about it; empty when nothing was."""


class Report:
    """Collects findings; `settle` raises one DataError of all that are refused."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.problems: list[DataError] = []

    def add(
        self, policy: str, choice: str, count: int, total: int, what: str, *, error: DataError, done: str = ""
    ) -> None:
        """Note a finding; with `choice` error it is a problem, else `done` says what became of it."""
        refused = choice == "error"
        text = "" if not count else error.message if refused else done
        self.findings.append(Finding(policy, choice, int(count), int(total), what, text))
        if count and refused:
            self.problems.append(error)

    def refuse(self, problem: DataError) -> None:
        """Note a problem that no policy allows."""
        self.problems.append(problem)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was repaired or kept, a sentence each."""
        return tuple(finding.text for finding in self.findings if finding.text and finding.choice != "error")

    def settle(self) -> None:
        """Raise DataError with every problem, if there is any."""
        raise_all(self.problems, self.findings)


def raise_all(problems: Iterable[DataError], findings: Iterable[Finding] = ()) -> None:
    """Raise the only problem as it is, or several as one; do nothing when there is none."""
    problems = tuple(problems)
    if not problems:
        return
    error = gathered(problems, code="data.problems")
    error.findings = tuple(findings)
    raise error
