"""A page read by html.parser, as a strict reader would: tags, attributes, tables, and what points elsewhere."""

from collections import Counter
from html.parser import HTMLParser
from typing import NamedTuple

VOID = {"meta", "img", "source", "br", "link", "input", "hr"}
POINTING = {"src", "href", "srcset", "action", "data", "poster", "formaction", "xlink:href"}


class Read(NamedTuple):
    caption: str
    rows: list
    values: list


class Parsed(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.alts, self.parts, self.plots = Counter(), Counter(), [], [], []
        self.headings, self.tables, self.outside, self.stack, self.text = [], [], [], [], []
        self.language = None
        self.feed(text)
        self.close()
        assert self.stack == [], "every element is closed"

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags[tag] += 1
        self.attributes.update(given.keys())
        if tag == "html":
            self.language = given.get("lang")
        if tag == "img":
            self.alts.append(given["alt"])
        if "data-part" in given:
            self.parts.append(given["data-part"])
        if "data-plot" in given:
            self.plots.append(given["data-plot"])
        for name in POINTING & given.keys():
            if not (given[name] or "").startswith(("data:image/svg+xml;base64,", "data:image/png;base64,", "#")):
                self.outside.append(given[name])
        if tag == "table":
            self.tables.append(Read("", [], []))
        if tag == "tr":
            self.tables[-1].rows.append([])
        if tag in ("td", "th"):
            self.tables[-1].rows[-1].append("")
        if tag == "data":
            self.tables[-1].values.append(float(given["value"]))
        if tag in ("h1", "h2", "h3"):
            self.headings.append((tag, ""))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, text):
        self.text.append(text)
        if "url(" in text and "style" in self.stack:
            self.outside.append(text)
        for tag in ("h1", "h2", "h3"):
            if tag in self.stack:
                self.headings[-1] = (tag, self.headings[-1][1] + text)
        if "caption" in self.stack:
            self.tables[-1] = self.tables[-1]._replace(caption=self.tables[-1].caption + text)
        elif "td" in self.stack or "th" in self.stack:
            self.tables[-1].rows[-1][-1] += text
