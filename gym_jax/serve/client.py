"""A model server asked from Python: the standard library for the network, pandas only where frames are given."""

import http.client
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload
from urllib.parse import urlsplit

from gym_jax.errors import ConfigError, DataError, GymJaxError, RunFailed

if TYPE_CHECKING:
    import pandas as pd

    from gym_jax.serve.remote import Remote

TRIES = 5
LONGEST_WAIT = 30.0
"""Seconds between two tries, whatever the server asks for."""
BODY = 900_000
"""Bytes of one request; more series go into several."""
SERIES = 128
"""Of one request."""
LARGEST = 256 << 20
"""Bytes of an answer that are read."""


class Client:
    """One server, over one connection that is kept; to be used by one thread at a time.

    >>> with Client("http://127.0.0.1:8643") as client:  # doctest: +SKIP
    ...     client.predict([{"id": "m1", "values": {"cpu": [0.2, 0.3, None, 0.25]}}])
    """

    def __init__(self, url: str, token: str | None = None, *, timeout: float = 30.0, tries: int = TRIES) -> None:
        """Remember where the server is; nothing is sent yet. Raises ConfigError when `url` is none."""
        parts = urlsplit(url if "//" in url else f"//{url}", scheme="http")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise ConfigError(
                f"`{url}` is no address of a server",
                hint="as gymjax serve prints it",
                attempt="gymjax predict --url http://127.0.0.1:8643 --data FILE",
                code="serve.url",
            )
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, port, timeout=timeout)
        self._path, self._token, self._tries = parts.path.rstrip("/"), token, tries

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next question opens it again."""
        self._connection.close()

    def models(self) -> list[dict[str, Any]]:
        """Return what the server says of each of its models."""
        return list(self._ask("GET", "/v1/models")["models"])

    def model(self, name: str | None = None) -> dict[str, Any]:
        """Return what it says of one model, of the only one when None. Raises ConfigError when there is no such."""
        found = {one["name"]: one for one in self.models()}
        if name is None and len(found) == 1:
            return next(iter(found.values()))
        if name is None or name not in found:
            raise ConfigError(
                f"no model `{name}` at {self.url}" if name else f"{self.url} serves {len(found)} models",
                hint=f"one of {', '.join(found)}",
                attempt=f"gymjax predict {next(iter(found), 'NAME')} --url {self.url} --data FILE",
                code="serve.model",
            )
        return found[name]

    def open(self, name: str | None = None) -> "Remote":
        """Return a model there, to be asked as one that is here. Raises as `model` does."""
        from gym_jax.inference.spec import Spec
        from gym_jax.serve.remote import Remote

        name = self.model(name)["name"]
        spec = Spec.from_json(self._ask("GET", f"/v1/models/{name}")["spec"])
        return Remote(spec, lambda series: self.predict(series, name))

    @overload
    def predict(self, data: "pd.DataFrame", model: str | None = None) -> "pd.DataFrame": ...
    @overload
    def predict(self, data: Sequence[Mapping[str, Any]], model: str | None = None) -> list[dict[str, Any]]: ...
    def predict(self, data: Any, model: str | None = None) -> Any:
        """Return what comes after each series: of a frame the table of `gymjax predict`, of series their answers.

        Raises DataError when the server refuses the data, ConfigError on a wrong name or token, RunFailed when it does
        not answer.
        """
        if isinstance(data, Sequence):
            return [one for answer in self._each("/v1/predict", data, {"model": model}) for one in answer["series"]]
        from gym_jax.inference.frame import predict_file

        with tempfile.TemporaryDirectory() as folder:  # a frame is read as its file would be
            file = Path(folder) / "series.parquet"
            data.to_parquet(file, index=False)
            return predict_file(self.open(model), file)  # type: ignore[arg-type]

    def recommend(
        self,
        series: Sequence[Mapping[str, Any]],
        model: str | None = None,
        *,
        risk: float = 0.05,
        resource: str = "cpu",
        target: str | None = None,
        unit: float = 1.0,
    ) -> list[dict[str, Any]]:
        """Return what each workload should get at a risk, and why. Raises as `predict` does."""
        asked = {"model": model, "risk": risk, "resource": resource, "target": target, "unit": unit}
        return [one for answer in self._each("/v1/recommend", series, asked) for one in answer["series"]]

    def _each(self, path: str, series: Sequence[Mapping[str, Any]], more: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the answers to as many questions as these series need."""
        more = {key: value for key, value in more.items() if value is not None}
        answers: list[dict[str, Any]] = []
        texts = [json.dumps(one, allow_nan=False, separators=(",", ":")) for one in series]
        while texts:
            count, size = 0, 0
            while count < min(len(texts), SERIES) and (count == 0 or size + len(texts[count]) < BODY):
                size += len(texts[count]) + 1
                count += 1
            head = json.dumps(more, allow_nan=False)[1:-1]
            body = f'{{{head}{"," if head else ""}"series":[{",".join(texts[:count])}]}}'
            answers.append(self._ask("POST", path, body.encode()))
            texts = texts[count:]
        return answers

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"accept": "application/json"}
        headers |= {"content-type": "application/json"} if body is not None else {}
        headers |= {"authorization": f"Bearer {self._token}"} if self._token else {}
        for left in reversed(range(self._tries)):
            try:
                self._connection.request(method, self._path + path, body, headers)
                answer = self._connection.getresponse()
                status, wait, text = answer.status, answer.headers.get("retry-after", ""), answer.read(LARGEST)
            except (OSError, http.client.HTTPException, UnicodeError) as error:  # the last of a name that can be none
                self._connection.close()
                if left and not isinstance(error, TimeoutError):  # a kept connection may have been closed over there
                    time.sleep(0.05 * (self._tries - left - 1))
                    continue
                raise RunFailed(
                    f"{self.url} does not answer: {error or type(error).__name__}",
                    hint="is it served there?",
                    attempt="gymjax serve RUN",
                    code="serve.unreachable",
                ) from error
            if status == 503 and left:
                time.sleep(min(float(wait) if wait.isdecimal() else 1.0, LONGEST_WAIT))
                continue
            return self._read(status, text)
        raise AssertionError  # the last try returns or raises

    def _read(self, status: int, text: bytes) -> dict[str, Any]:
        try:
            document = dict(json.loads(text))
        except (ValueError, RecursionError, TypeError) as error:
            raise RunFailed(
                f"{self.url} answers {status} with no JSON", hint="is it gymjax serve?", code="serve.unreachable"
            ) from error
        if status == 200:
            return document
        raise _refusal(status, document)


def _refusal(status: int, document: Mapping[str, Any]) -> GymJaxError:
    """Return the refusal of a server as an error of the library, every fault of it."""
    kind: type[GymJaxError] = (
        RunFailed if status >= 500 else ConfigError if status in (401, 403, 404, 405, 421) else DataError
    )
    faults = [one for one in document.get("problems", []) if isinstance(one, Mapping)] or [document]
    problems = tuple(
        kind(
            _words(one),
            hint=str(one.get("hint") or "") or None,
            attempt=str(one.get("try") or "") or None,
            code=str(one.get("code") or "serve.refused"),
        )
        for one in faults
    )
    first = problems[0]
    count = int(document.get("count") or len(problems))
    words = first.message if count == 1 else f"{first.message} (and {count - 1} more)"
    error = kind(words, hint=first.hint, attempt=first.attempt, code=first.code)
    error.problems = problems
    return error


def _words(fault: Mapping[str, Any]) -> str:
    words, path = str(fault.get("error") or "refused"), fault.get("path")
    return f"{path}: {words}" if path else words
