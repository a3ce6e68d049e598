"""The one `sshd` that all scripts are played to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.keyring import Keyring
from tests.interop.openssh import SSHD
from tests.interop.oracle.servers import oracle_sshd


@pytest.fixture(scope="session")
def sshd_of_oracle(keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHD]:
    with oracle_sshd(keyring, tmp_path_factory.mktemp("oracle")) as running:
        yield running
