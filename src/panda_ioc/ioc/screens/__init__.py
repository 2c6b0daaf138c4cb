"""Screens for Phoebus, generated from the record plan by pure functions.

`widgets` defines the widgets, `make` generates all screens, `bob` writes them as `.bob` files, and `files` updates a
directory of them without overwriting files that users changed.
"""
