"""What is asked and answered, in Pydantic: it judges the shape of a question and writes the OpenAPI document."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError, WithJsonSchema

from gym_jax.allocate.usage import Resource
from gym_jax.errors import nearest
from gym_jax.serve.api.limits import COLUMNS, ROWS, SERIES, WORD
from gym_jax.serve.api.problem import Problem, Refused, cut
from gym_jax.serve.api.strict import place

Number = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=WORD)]
Column = Annotated[list[Number | None], FailFast(), Field(max_length=ROWS)]
Moment = Annotated[Any, WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}]})]
Fact = Annotated[Any, WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]})]


class Shape(BaseModel):
    """A JSON object without members that nobody knows, whose types are taken at their word."""

    model_config = ConfigDict(extra="forbid", strict=True)


class AskedSeries(Shape):
    """One series up to now; or one case, a row of a table or a sequence."""

    id: Name | None = Field(None, description="One of the training keeps its own scale and calibration.")
    values: dict[str, Column] = Field(
        description="A list for every column the model reads, oldest first; null where nothing was observed.",
        max_length=COLUMNS,
    )
    start: Moment = Field(None, description="When the first row was; ISO 8601, or a count.")
    last: Moment = Field(None, description="When the last row was, in place of `start`.")
    future: dict[str, Column] = Field(
        {}, description="Columns known ahead of time: a value for every step of the horizon.", max_length=COLUMNS
    )
    static: dict[str, Fact] = Field({}, description="Columns that stay the same.", max_length=COLUMNS)


class Question(Shape):
    """What should come after these series?"""

    model: Name | None = Field(None, description="Needed where several are served.")
    series: list[AskedSeries] = Field(min_length=1, max_length=SERIES)


class AllocationQuestion(Question):
    """What should these workloads be given?"""

    risk: float = Field(0.05, gt=0, lt=0.5, description="Share of the time in which it may be too little.")
    resource: Resource = Field("cpu", description="What is allocated; says how amounts are rounded up.")
    unit: float = Field(1.0, gt=0, le=2.0**60, description="Cores or bytes that one unit of the data is.")
    target: Name | None = Field(
        None, description="The column that holds what is used; needed where a model has several."
    )


class Interval(Shape):
    """A calibrated interval of one target."""

    level: float = Field(description="How often it is to hold.")
    low: list[float]
    high: list[float]


class AnsweredSeries(Shape):
    """What is forecast of one series, in the data's units; a value for every step."""

    id: str | None
    times: list[str | int] | None = Field(description="null where the question did not say when its rows were.")
    forecast: dict[str, list[float]] | None = Field(None, description="By target.")
    quantiles: dict[str, dict[str, list[float]]] | None = Field(None, description="By target and level.")
    intervals: dict[str, list[Interval]] | None = Field(None, description="By target, the narrowest first.")
    label: str | None = Field(None, description="The likeliest class.")
    probabilities: dict[str, float] | None = None


class Forecasts(Shape):
    """The answer to a question, its series in the order in which they were asked."""

    model: str
    version: str
    series: list[AnsweredSeries]


class Allocation(Shape):
    """What one workload should get."""

    id: str | None
    request: float = Field(description="In cores or bytes.")
    limit: float | None = Field(description="What a tenth of the risk asks for; null where the model can not say.")
    request_quantity: str = Field(description="In Kubernetes' words, such as 250m or 512Mi.")
    limit_quantity: str | None
    why: str
    facts: dict[str, Any]


class Allocations(Shape):
    """What every workload should get, in the order in which they were asked."""

    model: str
    version: str
    resource: str
    risk: float
    series: list[Allocation]


class ModelFacts(Shape):
    """A model that is served, and what it is asked."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    name: str
    version: str
    kind: Literal["forecast", "regress", "classify", "allocation"]
    backend: str
    step: int = Field(description="Of the training.")
    weights: str
    loaded: str
    columns: list[str]
    targets: list[str]
    future: list[str]
    static: list[str] = Field(description="Numbers.")
    categories: list[str] = Field(description="Words.")
    statistic: str = Field(description="none, or of the coming horizon what is forecast.")
    needs_times: bool = Field(description="Whether a series must say when its rows were.")
    look_back: int
    horizon: int
    every: str = Field(description="From a row to the next.")
    quantiles: list[float]
    intervals: list[float]
    classes: list[str]
    batches: list[int] = Field(description="Sizes of which a program is compiled.")
    refused: dict[str, str] | None = Field(description="A newer version that was not taken, and why.")


class Models(Shape):
    """Every model that is served."""

    models: list[ModelFacts]


class ModelSpec(Shape):
    """Everything a client needs to ask a model for tables: the specification of `gym_jax.inference`."""

    version: str
    spec: dict[str, Any]


class Fault(Shape):
    """One fault, and what to do about it."""

    error: str
    hint: str
    attempt: str = Field(alias="try")
    path: str = Field(description="Where in the body, such as series[0].values.cpu[3].")
    code: str


class Faults(Fault):
    """Why a request was refused: the first fault, and all of them (20 at most) of `count`."""

    problems: list[Fault]
    count: int


ASKED = TypeVar("ASKED", bound=Question)


def judge(shape: type[ASKED], document: Any) -> ASKED:
    """Return a question of that shape. Raises Refused (422) with everything that is wrong with it."""
    if not isinstance(document, dict):
        raise Refused(422, Problem("question.type", "the body is no JSON object", 'such as {"series": [...]}'))
    try:
        return shape.model_validate(document)
    except ValidationError as error:
        raise Refused(422, *_problems(shape, error)) from error


def _problems(shape: type[Question], error: ValidationError) -> Iterator[Problem]:
    for fault in error.errors(include_url=False, include_context=True):
        path = ""
        for name in fault["loc"]:
            path = place(path, name)
        own, given = fault["type"], cut(fault["input"], 40)
        name = cut(fault["loc"][-1]) if fault["loc"] else ""
        context: Mapping[str, Any] = fault.get("ctx", {})
        if own == "extra_forbidden":
            inner = AskedSeries if len(fault["loc"]) > 1 else shape
            found = nearest(str(name), inner.model_fields)
            hint = f"did you mean `{found}`?" if found else f"there are {', '.join(inner.model_fields)}"
            yield Problem("question.unknown", f"unknown member `{name}`", hint, path=path)
        elif own == "missing":
            yield Problem("question.missing", f"`{name}` is missing", "every question has it", path=path)
        elif own == "finite_number":
            yield Problem(
                "question.not_finite", "a number that is not finite", "null where nothing was observed", path=path
            )
        elif own in ("too_long", "too_short", "string_too_long", "string_too_short"):
            yield Problem(
                "question.length", f"`{name}`: {_lowered(fault['msg'])}", "ask in several requests", path=path
            )
        elif own in TYPES:
            yield Problem("question.type", f"`{given}` is no {TYPES[own]}", HINTS.get(own, ""), path=path)
        else:
            asked = f"one of {context['expected']}" if "expected" in context else _lowered(fault["msg"])
            yield Problem("question.value", f"`{given}` for `{name}`", asked, path=path)


TYPES = {
    "float_type": "number",
    "list_type": "list",
    "dict_type": "object",
    "model_type": "object",
    "string_type": "text",
    "string_unicode": "text",
}
HINTS = {"float_type": "numbers without quotes; null where nothing was observed"}


def _lowered(words: str) -> str:
    return f"{words[:1].lower()}{words[1:]}"
