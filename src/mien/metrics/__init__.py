"""The arithmetic of measures, one file for each protocol. No file depends on a particular model."""
