"""What was found while judging data: counted always, refused where the policy says so, all at once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
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


@dataclass
class Tally:
    """What was found in several panels, as if it had been found in one."""

    notes: dict[str, None] = field(default_factory=dict)
    """What no finding says."""
    findings: dict[tuple[str, str, str], Finding] = field(default_factory=dict)

    def add(self, notes: Iterable[str], findings: Iterable[Finding]) -> None:
        """Take the notes and findings of one panel into account."""
        findings = tuple(findings)
        said = {finding.text for finding in findings}
        self.notes |= dict.fromkeys(note for note in notes if note not in said)
        for new in findings:
            old = self.findings.setdefault(new[:2] + new[4:5], new._replace(count=0, total=0, text=""))
            count, total = old.count + new.count, old.total + new.total
            self.findings[new[:2] + new[4:5]] = old._replace(
                count=count, total=total, text=_again(old, new, count, total)
            )

    @property
    def said(self) -> tuple[str, ...]:
        """All of it, a sentence each."""
        return (*self.notes, *(finding.text for finding in self.findings.values() if finding.text))


def _again(old: Finding, new: Finding, count: int, total: int) -> str:
    """Return what two findings say together: the words of one, with the counts and the share of both."""
    said = new if new.text else old
    begin, share = f"{said.count:,} of {said.total:,} ", f"({said.count / max(said.total, 1):.1%})"
    if said.text.startswith(begin):
        return f"{count:,} of {total:,} {said.text.removeprefix(begin)}".replace(share, f"({count / total:.1%})", 1)
    if not (old.text and new.text) or (old.text == new.text and not new.text[0].isdigit()):
        return said.text
    return f"{count:,} of {total:,} {new.what}: {new.policy.replace('_', ' ')}, {new.choice}"
