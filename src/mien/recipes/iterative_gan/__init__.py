"""Iterative GAN (Ma, Liu, Kang, Zhou, Zhu & Xu 2019)."""
