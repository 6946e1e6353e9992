"""JSON in and out: what is no JSON, twice, not finite or no text is told at its place."""

import math

import pytest

from gym_jax.serve.api.problem import Refused
from gym_jax.serve.api.shapes import AllocationQuestion, Question, judge
from gym_jax.serve.api.strict import read_json, write_json

SERIES = '{"series": [{"id": "m1", "values": {"cpu": [%s]}}]}'


def refused(body, shape=Question):
    with pytest.raises(Refused) as found:
        judge(shape, read_json(body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")))
    return found.value


def test_a_question_is_read_as_it_was_meant():
    question = judge(Question, read_json((SERIES % "1, 0.1, null, -3e2, 12345678901234567890").encode()))
    assert question.series[0].values == {"cpu": [1.0, 0.1, None, -300.0, 12345678901234567890.0]}


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        (b"", "json.invalid", ""),
        (b"{", "json.invalid", ""),
        (b"\xef\xbb\xbf{}", "json.bom", ""),
        ('{"series": []}'.encode("utf-16"), "json.bom", ""),
        (b'{"a": "\xff"}', "json.encoding", ""),
        (b"[" * 100_000, "json.depth", ""),
        (b'{"a":' * 100_000, "json.depth", ""),
        (b'{"a": 1, "a": 2}', "json.twice", "a"),
        (b'{"series": [{"id": "a", "values": {"cpu": [1], "cpu": [2]}}]}', "json.twice", "series[0].values.cpu"),
        (rb'{"series": [{"id": "\ud800", "values": {"cpu": [1]}}]}', "json.surrogate", "series[0].id"),
        (rb'{"\udfff": 1}', "json.surrogate", "\\udfff"),
        (b"{%s}" % b",".join(b'"%d":1' % k for k in range(300)), "json.members", ""),
        (b'{"%s": 1}' % (b"x" * 5000), "json.name", "x" * 57 + "..."),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(body, code, path):
    error = refused(body)
    assert error.status == 400
    assert (error.problems[0].code, error.problems[0].path) == (code, path)


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        ("[]", "question.type", ""),
        ("7", "question.type", ""),
        ("{}", "question.missing", "series"),
        ('{"series": {}}', "question.type", "series"),
        ('{"series": []}', "question.length", "series"),
        ('{"series": [7]}', "question.type", "series[0]"),
        ('{"series": [{}]}', "question.missing", "series[0].values"),
        (SERIES % "NaN", "question.not_finite", "series[0].values.cpu[0]"),
        (SERIES % "1, -Infinity", "question.not_finite", "series[0].values.cpu[1]"),
        (SERIES % "1e999", "question.not_finite", "series[0].values.cpu[0]"),
        (SERIES % ("9" * 5000), "question.not_finite", "series[0].values.cpu[0]"),
        (SERIES % '"1"', "question.type", "series[0].values.cpu[0]"),
        (SERIES % "true", "question.type", "series[0].values.cpu[0]"),
        (SERIES % "[1]", "question.type", "series[0].values.cpu[0]"),
        (SERIES % ",".join(["0"] * 20_001), "question.length", "series[0].values.cpu"),
        (f'{{"series": [{",".join(["{}"] * 257)}]}}', "question.length", "series"),
        ('{"serie": [], "series": [{"values": {"a": []}}]}', "question.unknown", "serie"),
        ('{"series": [{"values": {"a": []}, "vals": 1}]}', "question.unknown", "series[0].vals"),
        ('{"series": [{"id": 7, "values": {"a": []}}]}', "question.type", "series[0].id"),
        ('{"series": [{"id": "%s", "values": {}}]}' % ("x" * 300), "question.length", "series[0].id"),
    ],
)
def test_what_has_another_shape_is_refused_with_its_place(body, code, path):
    error = refused(body)
    assert error.status == 422
    assert (error.problems[0].code, error.problems[0].path) == (code, path)


def test_everything_is_told_at_once_and_the_right_word_beside_the_wrong_one():
    error = refused('{"serie": 1, "modell": "x", "series": [{"id": 1, "value": {}}]}')
    told = {problem.path: problem.hint for problem in error.problems}
    assert set(told) == {"serie", "modell", "series[0].id", "series[0].value", "series[0].values"}
    assert told["serie"] == "did you mean `series`?"
    assert told["series[0].value"] == "did you mean `values`?"
    assert error.document()["count"] == 5


@pytest.mark.parametrize("risk", ["0", "0.5", "-1", '"1%"', "NaN"])
def test_a_risk_is_a_share(risk):
    error = refused(f'{{"risk": {risk}, "series": [{{"values": {{"cpu": [1]}}}}]}}', AllocationQuestion)
    assert [problem.path for problem in error.problems] == ["risk"]


def test_an_answer_is_strict_json_in_ascii():
    assert write_json({"id": "\ud800ü", "x": [0.1, None]}) == b'{"id":"\\ud800\\u00fc","x":[0.1,null]}'
    with pytest.raises(ValueError, match="JSON"):
        write_json([math.nan])
