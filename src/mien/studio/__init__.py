"""The studio: a page in the browser on which photos are edited and models are explored. ``mien studio`` serves it.

:mod:`~mien.studio.runs`, :mod:`~mien.studio.photo` and :mod:`~mien.studio.steps` hold what the panels compute; they do
not import gradio. The files ``panel_*.py`` hold one panel each, and :mod:`~mien.studio.page` joins them.
"""
