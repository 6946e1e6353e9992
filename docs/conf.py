"""How the site is built: Sphinx over the Markdown pages here, and over pages that are made of the code itself."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from made import write_pages  # noqa: E402 - it lies beside this file

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
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # a page may begin a section with its table
copybutton_prompt_text = ">>> "

default_role = "code"
smartquotes = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_class_signature = "mixed"

OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)#]+)(?:#[^)]*)?\)")
"""A link out of `docs/`: to a file of the project that the site does not hold."""


def name_files(app, name, source):
    """Turn links to other files of the project into their paths: the site stands without the project."""
    source[0] = OUTSIDE.sub(lambda found: f"{found[1]} (`{found[2]}` in the project)", source[0])


def setup(app):
    """Make the pages that come from the code, then read all of them."""
    app.connect("builder-inited", lambda app: write_pages(HERE / "reference"))
    app.connect("source-read", name_files)
