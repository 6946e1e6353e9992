"""The page by hand: its structure, its numbers, and words that try to be markup."""

import re

import numpy as np
import pytest
from page_parser import Parsed
from report_examples import EXAMPLES

from gym_jax.report import PLOTS
from gym_jax.report.page import Code, Page, Picture, Section, Table, Words, escape, render, shown

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)> \" ' & `<b>` \N{RIGHT-TO-LEFT OVERRIDE}\x00"


def picture(alt="three numbers", caption=""):
    arguments, settings = EXAMPLES["error_by_step"]
    return Picture(
        "error_by_step", lambda dark: PLOTS["error_by_step"](*arguments, **settings, dark=dark), alt, caption
    )


def page_of(*blocks, title="a page", lead=()):
    return Page(title, lead, [Section("scores", "Scores", blocks)])


def test_numbers_stand_rounded_and_whole():
    text = render(
        page_of(
            Table("three", ("name", "mae", "count"), [("a", np.float64(0.123456789), 12345), ("b", None, float("nan"))])
        )
    )
    (table,) = Parsed(text).tables
    assert table.caption == "three"
    assert table.rows == [["name", "mae", "count"], ["a", "0.1235", "12,345"], ["b", "–", "–"]]
    assert table.values == [0.123456789, 12345]
    assert '<td class="n">' in text


def test_every_word_of_users_is_escaped():
    blocks = [
        Words(HOSTILE, "note"),
        Code(HOSTILE, HOSTILE),
        Code(HOSTILE, HOSTILE, folded=True),
        Table(HOSTILE, (HOSTILE, "b"), [(HOSTILE, HOSTILE)]),
        picture(HOSTILE, HOSTILE),
    ]
    text = render(Page(HOSTILE, [Words(HOSTILE)], [Section(HOSTILE, HOSTILE, blocks)]))
    parsed = Parsed(text)
    assert not {"script", "b"} & parsed.tags.keys()
    assert parsed.tags["img"] == 1
    assert not any(name.startswith("on") for name in parsed.attributes)
    assert parsed.outside == []
    assert "\x00" not in text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text


def test_the_page_needs_nothing_else_and_can_be_read_aloud():
    text = render(page_of(picture(), Table("t", ("a",), [(1,)]), lead=[Words("lead")]))
    parsed = Parsed(text)
    assert parsed.outside == []
    assert re.findall(r"https?://[^\"' ]*", re.sub(r'"data:[^"]*"', "", text)) == []
    assert parsed.alts == ["three numbers"]
    assert parsed.headings == [("h1", "a page"), ("h2", "Scores")]
    assert parsed.language == "en"
    assert "prefers-color-scheme:dark" in text
    assert "@media print" in text
    assert parsed.tags["source"] == 1, "the dark picture"


def test_pictures_are_drawn_in_both_themes_and_only_when_needed():
    asked = []
    arguments, settings = EXAMPLES["throughput"]

    def draw(dark):
        asked.append(dark)
        return PLOTS["throughput"](*arguments, **settings, dark=dark)

    page = page_of(Picture("throughput", draw, "speed"))
    assert [one.name for one in page.pictures()] == ["throughput"]
    assert asked == []
    assert render(page) == render(page)
    assert asked == [False, True] * 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (1234, "1,234"),
        (0.5, "0.5"),
        (1e-9, "1.000e-09"),
        ((1, 2), "1, 2"),
        ((), "–"),
        ("a", "a"),
    ],
)
def test_values_are_read_by_people(value, text):
    assert shown(value) == text


def test_escaping_by_hand():
    assert escape("<a href='x'>&\"") == "&lt;a href=&#x27;x&#x27;&gt;&amp;&quot;"
