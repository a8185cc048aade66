"""Faults that no case can catch, by the operation that has them, each with the reason."""

HARMLESS: dict[str, dict[str, str]] = {}

# Functions that are not broken here, and why.
BROKEN_ELSEWHERE: dict[str, str] = {}
