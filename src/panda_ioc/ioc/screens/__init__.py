"""Screens for Phoebus, made from the record plan by pure functions.

`widgets` is what screens are made of, `make` puts all screens together, `bob` writes them as `.bob`, and `files`
keeps a directory of them without touching what people changed.
"""
