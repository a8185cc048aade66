"""How to install what is missing; this module itself needs nothing."""

from importlib.metadata import distributions


def how_to_install(extra: str) -> str:
    """The command that installs an extra: of handgrad, or of the checkout where handgrad is not installed."""
    package = "handgrad" if any(distributions(name="handgrad")) else "."
    return f'python -m pip install "{package}[{extra}]"'
