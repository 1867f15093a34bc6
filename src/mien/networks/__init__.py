"""Plain networks that take numbers and functions; no paper's name occurs here."""
