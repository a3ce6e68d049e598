"""Keys and peers for the whole run, our server for one test; a test that hangs fails within a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

from tests.interop.keyring import Keyring
from tests.interop.matrix import Shared
from tests.interop.openssh import SSHD, running_sshd
from tests.interop.services import StartServer

TEST_SECONDS = 60


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring.make(tmp_path_factory.mktemp("keyring"))


@pytest.fixture(scope="session")
def lasting_sshd(keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHD]:
    """OpenSSH's server with everything switched on that we have too."""
    shared = Shared.with_openssh()
    lists = {
        "KexAlgorithms": shared.kex,
        "HostKeyAlgorithms": shared.host_keys,
        "PubkeyAcceptedAlgorithms": shared.host_keys,
        "Ciphers": shared.ciphers,
        "MACs": shared.macs,
    }
    with running_sshd(keyring, tmp_path_factory.mktemp("sshd"), lists) as running:
        yield running


@pytest.fixture
def deadline(nursery: trio.Nursery) -> None:
    """The test fails when it takes longer than a minute: for fixtures to depend on (a mark "usefixtures" would not run it)."""
    nursery.start_soon(_ring)


async def _ring() -> None:
    await trio.sleep(TEST_SECONDS)
    raise TimeoutError(f"the test has not ended in {TEST_SECONDS} s")


@pytest.fixture
def sshd(lasting_sshd: SSHD, deadline: None) -> SSHD:
    return lasting_sshd


@pytest.fixture
def serve_ours(keyring: Keyring, nursery: trio.Nursery, deadline: None) -> StartServer:
    """``server = await serve_ours()``: our own server, until the test ends."""
    return StartServer(keyring, nursery)
