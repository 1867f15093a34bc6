"""HTML pages from templates; every value that a template receives is escaped. Importing this needs no jinja2."""

from mien.pages.rendering import render

__all__ = ["render"]
