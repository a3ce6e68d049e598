"""Our client at AsyncSSH's server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

import trio_ssh
from tests.interop.asyncssh_peer import ASYNCSSH, AsyncioThread, AsyncSSHServer
from tests.interop.keyring import KEY_TYPES, Keyring
from tests.interop.matrix import Suite, each_suite
from tests.interop.services import KIB, MIB, PACKET, PASSWORD, pattern, sha256

# AsyncSSH passes on what cryptography says about finite-field groups.
pytestmark = pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")

Servers = dict[int, AsyncSSHServer]


@pytest.fixture(scope="module")
def lasting_servers(keyring: Keyring) -> Iterator[Servers]:
    """By their `rekey_bytes`."""
    with AsyncioThread.running() as thread:
        running = {size: thread.run_sync(AsyncSSHServer.start(keyring, rekey_bytes=size)) for size in (1 << 30, 64 * KIB, KIB)}
        try:
            yield running
        finally:
            for server in running.values():
                thread.run_sync(server.stop())


@pytest.fixture
def servers(lasting_servers: Servers, deadline: None) -> Servers:
    return lasting_servers


@pytest.fixture
def server(servers: Servers) -> AsyncSSHServer:
    return servers[1 << 30]


@each_suite(ASYNCSSH)
async def test_every_algorithm(suite: Suite, servers: Servers):
    """They count to 64 KiB, we to 100 KiB: keys change from both sides."""
    data = pattern(200 * KIB)
    async with servers[64 * KIB].connect(algorithms=suite.algorithms(), limits=trio_ssh.Limits(rekey_bytes=100 * KIB)) as client:
        first = client.negotiated
        assert (await client.run_process("echo", input=data)).stdout == data
        await client.rekey()
        assert (await client.run_process("echo", input=data)).stdout == data
        assert client.negotiated == first
        assert len(client.statistics().rekeys) >= 4
    assert (first.kex, first.host_key) == (suite.kex, suite.host_key)
    assert first.cipher_client_to_server == first.cipher_server_to_client == suite.cipher
    assert first.compression == (suite.compression, suite.compression)


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_every_user_key(key_type: str, server: AsyncSSHServer, keyring: Keyring):
    async with server.connect(credentials=[trio_ssh.PrivateKeyCredential(keyring.user_keys[key_type])]) as client:
        assert (await client.run_process("echo", input=b"in")).stdout == b"in"


async def test_a_password(server: AsyncSSHServer, keyring: Keyring):
    wrong: list[trio_ssh.Credential] = [trio_ssh.PrivateKeyCredential(keyring.stranger), trio_ssh.Password("wrong horse")]
    async with server.connect(credentials=[*wrong, trio_ssh.Password(PASSWORD)]) as client:
        assert (await client.run_process("echo", input=b"in")).stdout == b"in"
    with pytest.raises(trio_ssh.AuthenticationFailed):
        async with server.connect(credentials=wrong):
            raise AssertionError("let in")


@pytest.mark.parametrize(("theirs", "ours"), [(64 * KIB, None), (KIB, None), (1 << 30, 64 * KIB), (1 << 30, 16), (KIB, KIB)])
async def test_transfer_under_rekeying(theirs: int, ours: int | None, servers: Servers):
    digests: list[bytes] = []

    async def exchange(client: trio_ssh.Client) -> None:
        digests.append(sha256((await client.run_process("echo", input=pattern(MIB))).stdout))

    async with servers[theirs].connect(limits=trio_ssh.Limits(rekey_bytes=ours)) as client:
        up = await client.run_process("sha256", input=pattern(MIB))
        down = await client.run_process(f"source {MIB}")
        digests += [up.stdout, sha256(down.stdout)]
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(exchange, client)
        causes = client.statistics().rekeys
    assert digests == [sha256(pattern(MIB))] * 5
    assert len(causes) >= (5 if ours is None else 4 * MIB // (ours + PACKET))
    if ours is None:
        assert set(causes) == {trio_ssh.RekeyCause.PEER}
    if theirs == 1 << 30:
        assert set(causes) <= {trio_ssh.RekeyCause.SENT, trio_ssh.RekeyCause.RECEIVED}


async def test_how_processes_end(server: AsyncSSHServer):
    async with server.connect() as client:
        failed = await client.run_process("exit 7", check=False)
        assert (failed.exit_status, failed.stdout, failed.stderr) == (7, b"to stdout\n", b"to stderr\n")
        async with client.open_process("die TERM") as process:
            assert await process.wait() is None
            assert process.exit_signal == trio_ssh.ExitSignalReport("TERM", False, "as asked")
        told = await client.run_process("environ", environ={"ONE": "first", "TWO": "zwölf"})
        assert told.stdout.decode() == "ONE=first\nTWO=zwölf\n"


async def test_signals_and_sizes(server: AsyncSSHServer):
    terminal = trio_ssh.Terminal("vt100", 91, 37)
    async with server.connect() as client, client.open_process("listen", terminal=terminal) as process:
        assert await process.stdout.receive_some() == b"vt100 (91, 37, 0, 0)\n"
        process.resize(132, 50)
        assert await process.stdout.receive_some() == b"now 132 50\n"
        process.send_signal("INT")
        assert await process.stdout.receive_some() == b"signal INT\n"
        await process.stdin.aclose()
        assert await process.wait() == 0


async def test_keepalives(server: AsyncSSHServer):
    """Nobody says anything but our questions and their answers."""
    limits = trio_ssh.Limits(keepalive_seconds=0.02, keepalive_misses=20)
    async with server.connect(limits=limits) as client, client.open_process("echo") as process:
        enough = client.statistics().packets_received + 22
        while client.statistics().packets_received < enough:  # noqa: ASYNC110 - nothing else tells of keepalives
            await trio.sleep(0.01)
        await process.stdin.aclose()
        assert await process.wait() == 0
