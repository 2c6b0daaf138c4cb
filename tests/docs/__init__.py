"""Tests of the documentation; they run its examples."""
