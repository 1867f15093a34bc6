"""The papers' experiments: one file each, run with ``python -m mien.recipes.NAME --help``."""
