"""SSAVAE (Zemouri 2020)."""
