"""Texts and pages of the public plane, and how they are filled in.

Pages are escaped by default and carry their own style, whose hash their policy names: nothing else may load or run in them.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

FOLDER = Path(__file__).parent
STYLE = (FOLDER / "page.css").read_text(encoding="utf-8")

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'sha256-"
        + b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
        + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
}
HTML = "text/html; charset=utf-8"


def visible(text: object) -> str:
    """``text`` for a person: signs that are invisible or turn the direction of writing stand as their code point."""
    return "".join(
        sign
        if sign.isprintable() or sign in "\n\t"
        else f"\N{LEFT WHITE SQUARE BRACKET}U+{ord(sign):04X}\N{RIGHT WHITE SQUARE BRACKET}"
        for sign in str(text)
    )


_PAGES = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=lambda value: value if isinstance(value, Markup) else visible(value),
    trim_blocks=True,
    lstrip_blocks=True,
)
# Plain texts, filled in with the deployment's own addresses only.
_TEXTS = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=False,  # noqa: S701
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)


def rendered_text(template: str, **values: Any) -> bytes:
    """A plain text."""
    return _TEXTS.get_template(template).render(values).encode()


def rendered_page(template: str, **values: Any) -> bytes:
    """An HTML page. Every value is escaped, and `visible`."""
    return _PAGES.get_template(template).render(style=Markup(STYLE), **values).encode()  # noqa: S704 - our own file
