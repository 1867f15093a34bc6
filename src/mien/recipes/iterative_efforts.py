"""Efforts of the iterative GAN that its recipes share."""

from mien.recipes.recipe import Effort

TINY = Effort(steps=3, settings={"width": 4, "latent": 8, "shared": 32}, training={"batch": 16})
SMALL = Effort(steps=2000, settings={"width": 16}, training={"batch": 32, "ema": 0.99})
PAPER = Effort(epochs=50)
