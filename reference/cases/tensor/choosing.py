"""x."""

MODULES = ()
