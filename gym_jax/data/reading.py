"""How data are to be read, and what becomes of what is wrong with them: every choice with its default."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar, Literal, get_args, get_origin, get_type_hints

from gym_jax.errors import ConfigError, did_you_mean

Layout = Literal["long", "wide"]
TimeUnit = Literal["auto", "s", "ms", "us", "ns", "step"]
Aggregate = Literal["mean", "max", "min", "sum", "last", "p95"]
FORBID = {"extra": "forbid", "allow_inf_nan": False}


def check_words(options: object) -> None:
    """Raise ConfigError when a field holds a word that it does not know."""
    hints = get_type_hints(type(options))
    for item in fields(options):  # type: ignore[arg-type]
        hint, value = hints[item.name], getattr(options, item.name)
        if get_origin(hint) is Literal and value not in get_args(hint):
            raise ConfigError(
                f"`{item.name}={value}` is not known", hint=did_you_mean(str(value), map(repr, get_args(hint)))
            )


@dataclass(frozen=True)
class Policy:
    """What becomes of data that are not as they should be; `error` refuses them and says where they are.

    Raises ValueError on a word that is none of those listed.

    >>> frame = pd.DataFrame({"ds": ["2026-01-01", "2026-01-02", "2026-01-02"], "load": [1.0, 2.0, 4.0]})
    >>> read_frame(frame, policy=Policy(duplicates="mean")).values.ravel().tolist()
    [1.0, 3.0]
    """

    __pydantic_config__: ClassVar = FORBID

    gaps: Literal["mask", "error"] = "mask"
    """Time steps without a row."""
    duplicates: Literal["error", "first", "last", "mean"] = "error"
    """Rows of one series at one time; `first`, `last` in the order of the data."""
    unsorted: Literal["sort", "error"] = "sort"
    """Rows of a series whose times go back."""
    irregular: Literal["error", "round"] = "error"
    """Times off the regular step; `round` moves them to the nearest step."""
    missing: Literal["mask", "error"] = "mask"
    """Empty values and NaN."""
    infinite: Literal["error", "mask"] = "error"
    """Values that are infinite."""
    negative: Literal["error", "mask", "zero", "keep"] = "error"
    """Negative values of usage; `usage` says which columns that are."""
    above_capacity: Literal["keep", "clip", "mask", "error"] = "keep"
    """Usage above `capacity`; it is real on many platforms, so it is kept and counted."""
    short: Literal["error", "drop"] = "error"
    """Series too short for a window in each part."""
    blank: Literal["error", "drop"] = "error"
    """Columns and series without any value."""

    def __post_init__(self) -> None:
        check_words(self)


@dataclass(frozen=True)
class Resample:
    """Rows brought to a regular step before anything else; a row belongs to the step it lies in.

    Raises ValueError on an `aggregate` that is none.

    >>> frame = pd.DataFrame({"ds": pd.date_range("2026-01-01", periods=4, freq="30min"), "load": [1.0, 2.0, 3.0, 5.0]})
    >>> read_frame(frame, resample=Resample("1h", "max")).values.ravel().tolist()
    [2.0, 5.0]
    """

    __pydantic_config__: ClassVar = FORBID

    step: str | None = None
    """Such as 5min or 1h; None leaves the rows as they are."""
    aggregate: Aggregate = "mean"
    """What becomes of the rows in one step; p95 is the 95th percentile."""

    def __post_init__(self) -> None:
        check_words(self)


@dataclass(frozen=True)
class Reading:
    """Everything that decides how files or frames become a Panel.

    Raises ValueError on a word that is none of those listed.

    >>> Reading(target="cpu", time_zone="Europe/Amsterdam").target
    ('cpu',)
    """

    __pydantic_config__: ClassVar = FORBID

    layout: Layout = "long"
    """long: a row per series and time; wide: a column per series."""
    id: str | None = None
    """Column that tells the series apart; None finds it by name (unique_id, series_id, vm_id, ...)."""
    time: str | None = None
    """Column of the times; None finds it by name (ds, timestamp, ts, ...)."""
    target: tuple[str, ...] = ()
    """Columns to forecast; empty takes the only numeric column."""
    past: tuple[str, ...] = ()
    """Further columns the models see the past of."""
    known: tuple[str, ...] = ()
    """Columns known ahead of time: models see their future too."""
    static: tuple[str, ...] = ()
    """Numbers that belong to a series as a whole."""
    categories: tuple[str, ...] = ()
    """Words that belong to a series as a whole."""
    capacity: Mapping[str, str | float] | None = None
    """Column -> its capacity, a column or a number; None finds cpu_capacity_cores for cpu_cores, 100 for per cent."""
    usage: tuple[str, ...] | None = None
    """Columns that can not be negative; None finds them by name (cpu, memory, disk, bytes, ...)."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Column -> the unit to read it in; the unit it is in stands in its name or in its values."""
    step: str | None = None
    """The regular time step, such as 5min; None infers it."""
    time_unit: TimeUnit = "auto"
    """What numbers in the time column count; `step` without a time column counts the rows."""
    time_format: str | None = None
    """strptime's format of times that are not ISO 8601, such as %d/%m/%Y %H:%M."""
    time_zone: str | None = None
    """Zone of times that carry none, and of the calendar, such as Europe/Amsterdam."""
    separator: Literal["auto", ",", ";", "\t", "|"] = "auto"
    """Between the values of a row; auto finds it."""
    decimal: Literal["auto", ".", ","] = "auto"
    """Decimal mark of numbers; auto finds it when only one reading is possible."""
    encoding: str = "auto"
    """Encoding of text files; auto knows UTF-8 and byte-order marks."""
    missing_words: tuple[str, ...] = ()
    """Further words that stand for a missing value, such as n.a. or -."""
    policy: Policy = Policy()
    """What becomes of data that are not as they should be."""
    resample: Resample = Resample()
    """Rows brought to a regular step before anything else."""

    def __post_init__(self) -> None:
        check_words(self)
        for name in ("target", "past", "known", "static", "categories", "usage", "missing_words"):
            value = getattr(self, name)
            if isinstance(value, str):  # one word stands for a list of one
                object.__setattr__(self, name, (value,))
            elif isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
