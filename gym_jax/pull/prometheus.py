"""The HTTP API of Prometheus, and of those that speak it: a range of times, as numbers."""

import http.client
import json
import math
import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gym_jax.errors import ConfigError, DataError, GymJaxError
from gym_jax.pull.http import Answer, Server, TooMuch, fetch, is_hopeless, why

DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further try of what may pass."""
GREETING = 30.0
"""Seconds for the first answer, which is no work."""
LONGEST_DELAY = 60.0
"""What a server may ask for with `Retry-After`."""
BUSY = (429, 502, 503, 504)
MANY = re.compile(r"too many|too large|exceed|maximum|max-|limit", re.IGNORECASE)
"""What the messages say by which Prometheus, Thanos, Mimir and VictoriaMetrics refuse a question for its size."""


class Page(NamedTuple):
    """Values of one query over some time, sorted by series: value `i` is of the series with `labels[codes[i]]`."""

    labels: tuple[Mapping[str, str], ...]
    codes: Int[np.ndarray, " n"]
    times: Int[np.ndarray, " n"]
    """Milliseconds since 1970."""
    values: Float[np.ndarray, " n"]
    warnings: tuple[str, ...] = ()
    """What the server says besides, such as that a part of it did not answer."""


Wait = Callable[[float], None]


def greet(server: Server, wait: Wait) -> float | None:
    """Return the server's clock (seconds since 1970, None when it tells none), once it answers as Prometheus does.

    Raises DataError: no connection, no access, or something else at this address.
    """
    quick = server._replace(seconds=min(server.seconds, GREETING))
    try:
        answer, _ = _ask(quick, "/api/v1/query", {"query": "vector(1)"}, wait, known=False)
    except TooMuch as error:
        raise _unreachable(server, f"no answer within {quick.seconds:g} s") from error
    try:
        return parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def ask_range(server: Server, query: str, begin: int, end: int, step: int, wait: Wait) -> Page:
    """Return the values of a query at `begin`, `begin + step` ... `end`, in milliseconds since 1970.

    What may pass is tried again. Raises TooMuch when a shorter range may do, ConfigError on a wrong query, DataError.
    """
    parameters = {"query": query, "start": _seconds(begin), "end": _seconds(end), "step": _seconds(step)}
    answer, document = _ask(server, "/api/v1/query_range", parameters, wait)
    try:
        page = _read(document)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _foreign(server, answer) from error
    late = (page.times < begin) | (page.times > end) | ((page.times - begin) % step != 0)
    if late.any():
        raise DataError(
            f"{server.url} answers with a time that was not asked for: {page.times[late][0] / 1000:.3f}",
            hint="a proxy before it may keep answers by rounded times; ask Prometheus itself",
            code="pull.times",
        )
    return page


def _seconds(time: int) -> str:
    return f"{time // 1000}.{time % 1000:03d}"


def _read(document: Mapping[str, Any]) -> Page:
    """Return the matrix of an answer as arrays. Raises what Python raises on something else."""
    data = document["data"]
    warnings = tuple(_line(str(word)) for key in ("warnings", "infos") for word in document.get(key) or ())
    if data["resultType"] != "matrix":
        raise ValueError(data["resultType"])
    labels, codes, times, values = [], [], [], []
    for code, series in enumerate(data["result"]):
        if "histograms" in series:
            raise DataError(
                "the query answers with native histograms, and not with numbers",
                hint="histogram_quantile(0.95, ...) or histogram_avg(...) makes a number of each",
                code="pull.histogram",
            )
        label = dict(series["metric"])
        for word in (*label, *label.values()):
            word.encode()
        labels.append(label)
        own = [round(1000 * time) for time, _ in series["values"]]
        if any(after <= before for before, after in pairwise(own)):
            raise ValueError("times out of order")
        times += own
        values += [float(word) for _, word in series["values"]]
        codes += [code] * len(own)
    numbers = np.array(codes, np.int32), np.array(times, np.int64), np.array(values, np.float64)
    return Page(tuple(labels), *numbers, warnings)


def _ask(
    server: Server, path: str, parameters: Mapping[str, str], wait: Wait, *, known: bool = True
) -> tuple[Answer, dict[str, Any]]:
    """Return an answer and its document. A server that is `known` is waited for when its connection breaks."""
    for delay in (*DELAYS, None):
        asked: float | None = None
        problem: GymJaxError
        try:
            answer = fetch(server, path, parameters)
        except (OSError, http.client.HTTPException) as error:
            problem = _unreachable(server, why(error), trusted=not is_hopeless(error))
            problem.__cause__ = error
            again = known and not is_hopeless(error)
        else:
            document = _document(answer)
            if answer.status == 200 and document is not None and document.get("status") == "success":
                return answer, document
            problem = _refusal(server, answer, document)
            again = answer.status in BUSY and not isinstance(problem, TooMuch)
            asked = _retry_after(answer)
        if delay is None or not again:
            raise problem
        wait(delay if asked is None else min(max(asked, delay), LONGEST_DELAY))
    raise AssertionError  # the last try returns or raises


def _unreachable(server: Server, reason: str, *, trusted: bool = True) -> DataError:
    hint = "is it the right address, and is the server up?"
    return DataError(
        f"{server.url} can not be reached: {reason}",
        hint=hint if trusted else "the certificate's authority can be named: SSL_CERT_FILE=FILE",
        attempt=f"curl '{server.url}/api/v1/query?query=1'",
        code="pull.unreachable",
    )


def _retry_after(answer: Answer) -> float | None:
    try:
        seconds = float(answer.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _document(answer: Answer) -> dict[str, Any] | None:
    """Return the JSON object of an answer, None when it is none."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _refusal(server: Server, answer: Answer, document: Mapping[str, Any] | None) -> GymJaxError:
    """Return the error that says what the server has against a question, in its own words where it has some."""
    status, kind, said = answer.status, "", ""
    if document is not None:
        kind, said = str(document.get("errorType", "")), _line(str(document.get("error", "")))
    if kind == "timeout" or (status in (400, 413, 422, 500) and MANY.search(said)) or status == 413:
        return TooMuch(
            f"{server.url}: {said or 'too large an answer'}", hint="a query over fewer series, or a longer --step"
        )
    if status in (401, 403):
        return DataError(
            f"{server.url} lets nobody in without a right to it (status {status})",
            hint="name a file with a token, or a header",
            attempt="gymjax data pull ... --token-file FILE",
            code="pull.access",
        )
    if kind == "bad_data":
        return ConfigError(
            f"Prometheus refuses the query: {said}",
            hint="try the query on its own page, then here",
            attempt="gymjax data pull ... --preset cpu",
            code="pull.query",
        )
    if said:
        hint = "it may be busy or starting" if status in BUSY else "try the query on its own page, then here"
        return DataError(f"{server.url}: {said}", hint=hint, code="pull.refused")
    if status in BUSY:
        return DataError(f"{server.url} is busy or not up (status {status})", hint="try later", code="pull.busy")
    return _foreign(server, answer)


def _foreign(server: Server, answer: Answer) -> DataError:
    """Return the error that something else than Prometheus is at the address."""
    begin = answer.body[:100_000].lower()
    what = f"status {answer.status}" if answer.status != 200 else "another kind of answer"
    what = "Grafana" if b"grafana" in begin else "a web page" if b"<html" in begin else what
    return DataError(
        f"{server.url} does not answer as Prometheus does: {what}",
        hint="Grafana is no data source itself; it passes on below /api/datasources/proxy/uid/UID"
        if what == "Grafana"
        else "the address is that of Prometheus itself, without /graph or /api/v1",
        attempt="gymjax data pull --prometheus http://HOST:9090 ...",
        code="pull.foreign",
    )


def _line(text: str) -> str:
    """Return what a server says as one line that a terminal can be given."""
    words = " ".join(text.split())
    return "".join(c if c.isprintable() else "?" for c in words)[:500]
