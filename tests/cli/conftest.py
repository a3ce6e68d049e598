"""One trio-sshd for all tests of a file, and a fresh home for each test."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

from tests.cli.tools import Home, RunningServer, running, server_command


@attrs.frozen
class Place:
    """A server, and a home that knows its host key."""

    home: Home
    server: RunningServer

    @property
    def port(self) -> int:
        return self.server.port


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = Home.make(tmp_path_factory.mktemp("home"))
    with running(server_command(home, "-o", "AcceptEnv=LC_*", "-o", "Subsystem=upper tr a-z A-Z"), home.environ) as server:
        yield Place(home, server)


@pytest.fixture
def place(shared: Place) -> Place:
    """With the right host key in known_hosts, and no configuration."""
    shared.home.know(shared.port)
    (shared.home.path / ".ssh" / "config").unlink(missing_ok=True)
    return shared
