"""The whole product with OpenSSH, both roles: every key exchange x host key x cipher x MAC. A test for each of the first two."""

from __future__ import annotations

import pytest

from tests.interop.keyring import Keyring
from tests.interop.matrix import Shared, Suite, options_of
from tests.interop.openssh import SSH, SSHD
from tests.interop.services import StartServer

OPENSSH = Shared.with_openssh()
each_host_key = pytest.mark.parametrize("host_key", OPENSSH.host_keys)
each_kex = pytest.mark.parametrize("kex", OPENSSH.kex)


def suites(kex: str, host_key: str) -> list[Suite]:
    return [Suite(kex, host_key, *protection) for protection in OPENSSH.protections()]


@each_kex
@each_host_key
async def test_our_client(kex: str, host_key: str, sshd: SSHD):
    for suite in suites(kex, host_key):
        async with sshd.connect(algorithms=suite.algorithms()) as client:
            await client.rekey()
            negotiated = client.negotiated
            assert await client.ping() >= 0
        assert (negotiated.kex, negotiated.host_key, negotiated.cipher_server_to_client) == (suite.kex, suite.host_key, suite.cipher)
        assert negotiated.mac_client_to_server in (suite.mac, "")


@each_kex
@each_host_key
async def test_our_server(kex: str, host_key: str, keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours()
    ssh = SSH(keyring, server.port)
    for suite in suites(kex, host_key):
        done = await ssh.run("echo", input=b"there and back", options=options_of(suite))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"there and back", b""), suite
