"""Our server as a process, shared by the tests of one module."""

from collections.abc import Iterator

import pytest

from tests.support.server import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("shared")) as running:
        yield running
