"""File formats of published data sets: each module reads one format and checks what it reads."""
