"""The papers' experiments, one file each: ``python -m mien.recipes.NAME --help``; ``demo`` is ``mien demo``."""
