import pytest

from reference import export
from tests.exchange.reader import OPERATIONS


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """An export of a few operations that have every structure; nobody changes it."""
    directory = tmp_path_factory.mktemp("exchange") / "export"
    export(directory, OPERATIONS)
    return directory


def pytest_collection_modifyitems(items):
    """All in one process, which makes the export once."""
    for item in items:
        if item.nodeid.startswith("tests/exchange/"):
            item.add_marker(pytest.mark.xdist_group("exchange"))
