"""The documentation says what is true: its examples are run."""
