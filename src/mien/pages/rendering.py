"""Renders the templates of this folder with jinja2."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:
    """Return a template of this folder, filled with values.

    Every value is escaped; a template marks the few that hold markup of our own with ``|safe``.

    Args:
        template: the file's name in this folder, such as ``report.html.j2``.
        values: the template's variables, by name.

    Raises:
        jinja2.UndefinedError: the template uses a variable that ``values`` does not hold.

    >>> from mien.figures import Table
    >>> print(render("table.html.j2", table=Table(["a & b"], [["<i>"]], [False])))
    <table><thead><tr><th scope="col">a &amp; b</th></tr></thead>
    <tbody><tr><th scope="row">&lt;i&gt;</th></tr></tbody></table>
    """
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("mien.pages", ".")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
