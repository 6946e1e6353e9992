"""docs/made.py, which makes the pages of the public names, as a module."""

import importlib.util

from conftest import ROOT

_SPEC = importlib.util.spec_from_file_location("made", ROOT / "docs" / "made.py")
made = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(made)
