"""A static page that edits photos in the browser: no server code, and the photo never leaves the machine."""

from mien.web.page import write_page

__all__ = ["write_page"]
