"""Layers: operations with weights."""
