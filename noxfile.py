"""Everything that is run, one session each: `python -m nox -s agreement`, and likewise tests, jax, mutation, benchmarks, lint and
types.
"""

import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["lint", "types", "tests", "agreement"]


def install(session: nox.Session, extra: str) -> None:
    """Install the checkout with an extra; torch first and alone, so that the pin decides which build comes."""
    session.install("-c", "constraints.txt", "torch")
    session.install("-c", "constraints.txt", "-e", f".[{extra}]")


@nox.session
def agreement(session: nox.Session) -> None:
    """Run the whole catalogue against PyTorch and print how well the two agree (the main job)."""
    install(session, "reference")
    session.run("python", "-m", "reference", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the test suite, the tests of an operation in one process."""
    install(session, "tests")
    session.run("python", "-m", "pytest", "-n", "auto", "--dist", "loadgroup", *session.posargs)


@nox.session
def jax(session: nox.Session) -> None:
    """Check functions of JAX, which the other sessions do without, by the truth."""
    install(session, "tests,peers")
    session.run("python", "-m", "pytest", "tests/checking/test_jax.py", "tests/test_readme.py", "-k", "jax", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change one thing of manual/ at random, many times; list the changes that no test notices. `-- --seed 1 --number 300`."""
    install(session, "tests")
    session.run("python", "-m", "tests.mutation", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Time manual beside torch; print a table of ratios and draw it. `-- --all` times every operation, `-- --peers` more sides."""
    install(session, "benchmarks,peers" if "--peers" in session.posargs else "benchmarks")
    session.run("python", "-m", "pytest", "benchmarks", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install("-c", "constraints.txt", "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types."""
    install(session, "oracle")
    session.install("-c", "constraints.txt", "mypy")
    session.run("mypy")
