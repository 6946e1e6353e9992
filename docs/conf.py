"""How the site is built: Sphinx over the Markdown pages here, and over pages that are made of the code itself."""

import sys
from pathlib import Path
from typing import Annotated, get_args, get_origin

import optax
from sphinx.util import typing

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from links import name_files  # noqa: E402 - these lie beside this file
from made import write_pages  # noqa: E402

import gym_jax  # noqa: E402

project = "gym_jax"
author = "the gym_jax developers"
version = release = gym_jax.__version__
html_title = f"gym_jax {version}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # a page may begin a section with its table
copybutton_prompt_text = ">>> "

default_role = "code"
smartquotes = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
maximum_signature_line_length = 90
autodoc_class_signature = "mixed"


def rewrite_links(app, name, source):
    """Turn links to other files of the project into their paths."""
    source[0] = name_files(source[0], name)


BOUNDS = {"Ge": ">=", "Gt": ">", "Le": "<=", "Lt": "<"}
RATES = ((optax.ScalarOrSchedule, "float | Schedule"), (optax.Schedule, "Schedule"))
"""Optax's types of a learning rate, which are long unions; a schedule takes the step and returns the rate."""


def write_types():
    """Write types shortly: arrays with their shapes, numbers with their ranges."""
    usual = typing.stringify_annotation

    def written(annotation, *args, **kwargs):
        if hasattr(annotation, "dim_str"):  # jaxtyping's
            kind = annotation.__name__.partition("[")[0]
            return f"{kind}[{annotation.array_type.__name__.rpartition('.')[2]}, {annotation.dim_str!r}]"
        if rate := next((word for kind, word in RATES if annotation == kind), None):
            return rate
        if get_origin(annotation) is not Annotated:
            return usual(annotation, *args, **kwargs)
        kind, *more = get_args(annotation)
        text = written(kind, *args, **kwargs)
        known = [(BOUNDS[type(one).__name__], one) for one in more if type(one).__name__ in BOUNDS]
        bounds = ", ".join(f"{sign} {getattr(one, type(one).__name__.lower())}" for sign, one in known)
        return f"{text}[{bounds!r}]" if bounds else text

    for module in [*sys.modules.values()]:
        if getattr(module, "stringify_annotation", None) is usual:
            module.stringify_annotation = written


def leave_out(app, what, name, thing, options, lines):
    """Leave out what Python itself says of the fields of a named tuple."""
    if lines and lines[0].startswith("Alias for field number"):
        lines.clear()


def leave_out_linen(app, what, name, thing, options, signature, returns):
    """Leave out the two arguments that Flax adds to every module, `parent` and `name`."""
    shown, found, _ = (signature or "").partition(", parent: ")
    return f"{shown})" if found else signature, returns


def setup(app):
    """Make the pages that come from the code, then read all of them."""
    app.connect("builder-inited", lambda app: write_pages(HERE / "reference"))
    app.connect("source-read", rewrite_links)
    app.connect("autodoc-process-docstring", leave_out)
    app.connect("autodoc-process-signature", leave_out_linen)
    write_types()
