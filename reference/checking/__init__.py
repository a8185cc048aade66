"""Anybody's function held against the truth, on the cases of an operation."""
