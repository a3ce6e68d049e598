"""The whole product with OpenSSH, both roles: every key exchange x cipher x MAC x compression. A test for each of the first and the last.

Host keys take turns: they have nothing to do with the others.
"""

from __future__ import annotations

import itertools

import pytest

from tests.interop.keyring import Keyring
from tests.interop.matrix import Shared, Suite, options_of
from tests.interop.openssh import SSH, SSHD
from tests.interop.services import StartServer

OPENSSH = Shared.with_openssh()
each_kex = pytest.mark.parametrize("kex", OPENSSH.kex)
each_compression = pytest.mark.parametrize("compression", OPENSSH.compression)


def suites(kex: str, compression: str) -> list[Suite]:
    host_keys = itertools.cycle(OPENSSH.host_keys)
    return [Suite(kex, host_key, *protection, compression) for protection, host_key in zip(OPENSSH.protections(), host_keys, strict=False)]


@each_kex
@each_compression
async def test_our_client(kex: str, compression: str, sshd: SSHD):
    for suite in suites(kex, compression):
        async with sshd.connect(algorithms=suite.algorithms()) as client:
            negotiated = client.negotiated
            assert await client.ping() >= 0
        assert (negotiated.kex, negotiated.host_key, negotiated.cipher_server_to_client) == (suite.kex, suite.host_key, suite.cipher)
        assert negotiated.mac_client_to_server in (suite.mac, "")
        assert negotiated.compression == (compression, compression)


@each_kex
@each_compression
async def test_our_server(kex: str, compression: str, keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours()
    ssh = SSH(keyring, server.port)
    for suite in suites(kex, compression):
        done = await ssh.run("echo", input=b"there and back", options=options_of(suite))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"there and back", b""), suite
