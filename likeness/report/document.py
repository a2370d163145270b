"""HTML files that hold all they show, and fetch nothing."""

import base64
import hashlib
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup


def read_asset(name: str) -> str:
    """A text file of this package."""
    return resources.files("likeness.report").joinpath(name).read_text(encoding="utf-8")


def render_document(template: str, style: str, script: str, **values: Any) -> str:
    """The template, which extends layout.html, as HTML text; its style comes after base.css. Values are escaped."""
    style = read_asset("base.css") + style
    environment = Environment(
        loader=FunctionLoader(read_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        style=Markup(style), script=Markup(script), policy=_policy(style, script), **values
    )


def _policy(style: str, script: str) -> str:
    """A content security policy under which this very style and script run, and nothing is fetched."""

    def allow(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src data:; media-src data:; style-src {allow(style)}; script-src {allow(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
