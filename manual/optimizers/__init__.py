"""Optimizers: one algorithm a file."""
