"""Residual GAN (Shen & Liu, CVPR 2017)."""
