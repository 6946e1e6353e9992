"""A page that stands alone: sections of words, tables and pictures, with nothing to fetch and every word escaped."""

import base64
import html
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gym_jax.cells import cell
from gym_jax.report.picture import as_png, as_svg

LOOK = Path(__file__).with_name("page.css")
LARGE = 90_000
"""Bytes of a drawing beyond which it is embedded as pixels."""


class Words(NamedTuple):
    """A paragraph."""

    text: str
    kind: str = ""
    """`note`, `good`, `bad`: what it stands out as."""


class Code(NamedTuple):
    """Lines to be typed or read as they are."""

    caption: str
    text: str
    folded: bool = False


class Table(NamedTuple):
    """Rows under a caption. Numbers stand rounded, and whole in the `value` of their element."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    folded: bool = False


class Picture(NamedTuple):
    """A plot that is drawn when it is needed, in light and in dark."""

    name: str
    draw: Callable[..., Any]
    """`draw(dark=...)` returns the figure."""
    alt: str
    """What it shows, for who does not see it."""
    caption: str = ""


class Section(NamedTuple):
    """A heading with what stands below it; `level` 2 or 3."""

    part: str
    title: str
    blocks: Sequence[Any]
    level: int = 2


class Page(NamedTuple):
    """A title and its sections."""

    title: str
    lead: Sequence[Words]
    sections: Sequence[Section]

    def pictures(self) -> Iterator[Picture]:
        """Yield every picture, in order."""
        for section in self.sections:
            yield from (block for block in section.blocks if isinstance(block, Picture))


def render(page: Page) -> str:
    """Return the page as HTML."""
    body = [f"<h1>{escape(page.title)}</h1>", *map(_words, page.lead)]
    names = [f"s{number}" for number in range(len(page.sections))]
    links = [
        f'<li><a href="#{name}">{escape(section.title)}</a></li>'
        for name, section in zip(names, page.sections, strict=True)
        if section.level == 2
    ]
    body.append(f'<nav aria-label="Contents"><ul>{"".join(links)}</ul></nav><main>')
    for name, section in zip(names, page.sections, strict=True):
        body.append(f'<section id="{name}" data-part="{escape(section.part)}" aria-labelledby="h{name}">')
        body.append(f'<h{section.level} id="h{name}">{escape(section.title)}</h{section.level}>')
        row: list[str] = []
        for block in section.blocks:
            if isinstance(block, Picture):
                row.append(_picture(block))
                continue
            body += _row(row)
            row = []
            body.append(_block(block))
        body += _row(row)
        body.append("</section>")
    inner = "\n".join(body)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(page.title)}</title>\n<style>{LOOK.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n{inner}\n</main>\n</body>\n</html>\n"
    )


def escape(text: Any) -> str:
    """Return users' words as HTML text or the value of an attribute in quotes; control signs become visible."""
    word = "".join(sign if sign.isprintable() or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in str(text))
    return html.escape(word, quote=True)


def shown(value: Any) -> str:
    """Return a value as people read it; a dash for nothing."""
    unknown = isinstance(value, float) and not math.isfinite(value)
    empty = isinstance(value, list | tuple) and not value
    return cell(None if unknown or empty else value, "–")


def _block(block: Words | Code | Table) -> str:
    if isinstance(block, Words):
        return _words(block)
    return _code(block) if isinstance(block, Code) else _table(block)


def _words(words: Words) -> str:
    kind = f' class="{escape(words.kind)}"' if words.kind else ""
    text = re.sub("`([^`]+)`", r"<code>\1</code>", escape(words.text))
    return f"<p{kind}>{text}</p>"


def _code(code: Code) -> str:
    text = f'<pre tabindex="0"><code>{escape(code.text)}</code></pre>'
    if code.folded:
        return f"<details><summary>{escape(code.caption)}</summary>{text}</details>"
    return f'<p class="caption">{escape(code.caption)}</p>{text}'


def _table(table: Table) -> str:
    right = [
        all(isinstance(row[i], int | float | None) for row in table.rows) and bool(table.rows)
        for i in range(len(table.columns))
    ]
    head = "".join(
        f'<th scope="col"{_side(number)}>{escape(name)}</th>' for name, number in zip(table.columns, right, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(_cell(value, not i, number) for i, (value, number) in enumerate(zip(row, right, strict=True)))
        + "</tr>"
        for row in table.rows
    )
    text = (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(table.caption)}"><table><caption>'
        f"{escape(table.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    return f"<details><summary>{escape(table.caption)}</summary>{text}</details>" if table.folded else text


def _cell(value: Any, first: bool, number: bool) -> str:
    text = escape(shown(value))
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        text = f'<data value="{value}">{text}</data>'
    return f'<th scope="row"{_side(number)}>{text}</th>' if first else f"<td{_side(number)}>{text}</td>"


def _side(number: bool) -> str:
    return ' class="n"' if number else ""


def _picture(picture: Picture) -> str:
    light, dark = (_embedded(picture.draw(dark=dark)) for dark in (False, True))
    width, height = light[1]
    caption = f"<figcaption>{escape(picture.caption)}</figcaption>" if picture.caption else ""
    return (
        f'<figure class="{"broad" if width > 650 else "narrow"}" data-plot="{escape(picture.name)}"><picture>'
        f'<source media="screen and (prefers-color-scheme: dark)" srcset="{dark[0]}">'
        f'<img src="{light[0]}" width="{width}" height="{height}" alt="{escape(picture.alt)}"></picture>'
        f"{caption}</figure>"
    )


def _embedded(figure: Any) -> tuple[str, tuple[int, int]]:
    """Return a figure as the address of its own bytes, and its size in pixels of a page."""
    data, kind = as_svg(figure), "svg+xml"
    if len(data) > LARGE:
        data, kind = as_png(figure), "png"
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}", (width, height)


def _row(figures: Sequence[str]) -> list[str]:
    return [f'<div class="figures">{"".join(figures)}</div>'] if figures else []
