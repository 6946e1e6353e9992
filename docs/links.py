"""The links of the pages: to other pages they stay, to the rest of the project they become paths."""

import posixpath
import re

UP = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#]+)(?:#[^)]*)?\)")
"""A link that goes up: to a page in another folder, or out of `docs/`."""


def name_files(text: str, page: str) -> str:
    """Return the text of a page with links out of `docs/` as paths: the site stands without the project."""

    def named(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), found[2]))
        return found[0] if path.startswith("docs/") else f"{found[1]} (`{path}` in the project)"

    return UP.sub(named, text)
