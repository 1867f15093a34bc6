"""Measures, one file for each protocol; none knows a model."""
