"""The documentation site: Sphinx reads the pages in docs/. `make docs` writes it to build/docs."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent / "tools"), str(DOCS.parent / "src")]

import site_parts  # noqa: E402 - it lies beside this file

import mien  # noqa: E402

project = "mien"
author = "The mien developers"
release = version = mien.__version__
copyright = author

extensions = [
    "myst_nb",  # Markdown pages, and the notebooks of examples/ with their outputs
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",  # docstrings have the sections of Google's style
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",  # folded sections
]
# A team maintains this theme and uses it for NumPy, SciPy and pandas, so it follows new versions of Sphinx.
html_theme = "pydata_sphinx_theme"
html_title = "mien"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "header_links_before_dropdown": 8,
    "navbar_persistent": ["search-button"],  # the field does not fit beside the links
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
html_show_sourcelink = False
exclude_patterns = ["generated/parts"]
suppress_warnings = ["ref.python"]  # mien.data.Batch and mien.data.batch.Batch are one class: either target is right

myst_enable_extensions = ["attrs_inline", "attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
# A notebook trains a small model. The build executes it, so that its pictures come from the present code.
nb_execution_mode = "force"
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_execution_in_temp = True  # run folders of a notebook are not left among the pages
nb_merge_streams = True

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
# NumPy's own definition of this name has ten lines
autodoc_type_aliases = {"ArrayLike": "numpy.typing.ArrayLike"}
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_rtype = False

# Every name of mien's own must lead somewhere. Names of other libraries have no target: their sites cannot be read
# where this one is built.
nitpicky = True
nitpick_ignore_regex = site_parts.FOREIGN

linkcheck_anchors = False
copybutton_exclude = ".linenos, .gp, .go"


def setup(app):
    """Write the generated pages before Sphinx looks for pages, and adapt what is written for GitHub."""
    app.connect("builder-inited", lambda app: site_parts.write(Path(app.srcdir)))
    app.connect("source-read", site_parts.adapt)
    app.connect("autodoc-process-docstring", site_parts.tidy)
    app.connect("autodoc-process-signature", site_parts.readable)
    app.connect("missing-reference", site_parts.resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
