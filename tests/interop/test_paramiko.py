"""Paramiko's client at our server, and our client at Paramiko's."""

from __future__ import annotations

import paramiko
import pytest
import trio

import trio_ssh
from tests.interop.keyring import KEY_TYPES, Keyring, key_type_of
from tests.interop.matrix import Suite, each_suite
from tests.interop.paramiko_peer import PARAMIKO, Done, ParamikoServer, paramiko_client, run_command
from tests.interop.services import KIB, MIB, PACKET, PASSWORD, StartServer, pattern, sha256

# Paramiko passes on what cryptography says about finite-field groups.
pytestmark = pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")

in_thread = trio.to_thread.run_sync

# --- its client --------------------------------------------------------------------------------------------------------------------------


@each_suite(PARAMIKO)
async def test_every_algorithm_of_its_client(suite: Suite, keyring: Keyring, serve_ours: StartServer):
    """Keys change because both count, and because they ask."""
    server = await serve_ours(limits=trio_ssh.Limits(rekey_bytes=100 * KIB))
    data = pattern(200 * KIB)

    def work() -> Done:
        with paramiko_client(keyring, server.port, suite=suite) as transport:
            transport.renegotiate_keys()
            return run_command(transport, "echo", data, output_bytes=len(data), rekey_bytes=64 * KIB)

    assert await in_thread(work) == Done(0, data, b"")
    [negotiated, *again] = [event.negotiated for event in server.all_of(trio_ssh.KeyExchangeDone)]
    assert (negotiated.kex, negotiated.host_key) == (suite.kex, suite.host_key)
    assert negotiated.cipher_client_to_server == negotiated.cipher_server_to_client == suite.cipher
    assert negotiated.mac_client_to_server in (suite.mac, "")
    assert negotiated.compression == (suite.compression, suite.compression)
    assert len(again) >= 1
    assert all(later == negotiated for later in again)


@pytest.mark.parametrize("algorithm", PARAMIKO.host_keys)
async def test_every_user_key_of_its_client(algorithm: str, keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours()
    others = [name for name in PARAMIKO.host_keys if name != algorithm]

    def work() -> None:
        with paramiko_client(keyring, server.port, key_type=key_type_of(algorithm), disabled_algorithms={"pubkeys": others}) as transport:
            assert transport.is_authenticated()

    await in_thread(work)
    assert [event.method for event in server.all_of(trio_ssh.AuthAttempted) if event.outcome == "granted"] == ["publickey"]


async def test_a_password_of_its_client(keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours()

    def work(password: str) -> None:
        with paramiko_client(keyring, server.port, password=password):
            pass

    await in_thread(work, PASSWORD)
    with pytest.raises(paramiko.AuthenticationException):
        await in_thread(work, "wrong horse")


LIMITS = [(64 * KIB, None), (None, 64 * KIB), (None, 16), (100 * KIB, 100 * KIB)]


@pytest.mark.parametrize(("theirs", "ours"), LIMITS)
async def test_transfer_from_its_client(theirs: int | None, ours: int | None, keyring: Keyring, serve_ours: StartServer):
    """A mebibyte up, one down, and both."""
    server = await serve_ours(limits=trio_ssh.Limits(rekey_bytes=ours))
    data = pattern(MIB)

    def work() -> list[bytes]:
        with paramiko_client(keyring, server.port) as transport:
            up = run_command(transport, "sha256", data, rekey_bytes=theirs)
            down = run_command(transport, f"source {MIB}")
            both = run_command(transport, f"exchange {MIB}", data, output_bytes=MIB, rekey_bytes=theirs)
            return [up.stdout, sha256(down.stdout), sha256(both.stdout), both.stderr]

    assert await in_thread(work) == [sha256(data)] * 4
    assert len(server.rekeys()) >= (2 if ours is None else 2 * MIB // (ours + PACKET))
    if ours is None:
        assert set(server.rekeys()) == {trio_ssh.RekeyCause.PEER}
    if theirs is None:
        assert set(server.rekeys()) <= {trio_ssh.RekeyCause.SENT, trio_ssh.RekeyCause.RECEIVED}


async def test_how_processes_of_its_client_end(keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours()

    def work() -> list[Done]:
        with paramiko_client(keyring, server.port) as transport:
            return [
                run_command(transport, "exit 7"),
                run_command(transport, "die TERM"),
                run_command(transport, "environ", environ={"LC_ONE": "first"}),
            ]

    failed, killed, told = await in_thread(work)
    assert failed == Done(7, b"to stdout\n", b"to stderr\n")
    assert killed.status == -1
    assert told.stdout == b"LC_ONE=first\n"


async def test_a_terminal_of_its_client(keyring: Keyring, serve_ours: StartServer):
    async def handler(session: trio_ssh.ServerSession) -> int:
        assert session.terminal is not None
        await session.send_all(f"{session.terminal.term} {session.terminal.columns} {session.terminal.rows}\n".encode())
        changed = await session.resizes.receive()
        await session.send_all(f"now {changed.columns} {changed.rows}\n".encode())
        return 0

    server = await serve_ours(handler)

    def work() -> list[bytes]:
        with paramiko_client(keyring, server.port) as transport:
            channel = transport.open_session()
            channel.get_pty("vt100", 91, 37)
            channel.invoke_shell()
            lines = channel.makefile("rb")
            first = lines.readline()
            channel.resize_pty(132, 50)
            return [first, lines.readline()]

    assert await in_thread(work) == [b"vt100 91 37\n", b"now 132 50\n"]


# --- its server --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def their_server(keyring: Keyring, nursery: trio.Nursery, deadline: None) -> ParamikoServer:
    return ParamikoServer(keyring, nursery)


@each_suite(PARAMIKO)
async def test_every_algorithm_of_its_server(suite: Suite, their_server: ParamikoServer):
    data = pattern(200 * KIB)
    limits = trio_ssh.Limits(rekey_bytes=100 * KIB)
    async with their_server.connect(suite=suite, rekey_bytes=64 * KIB, algorithms=suite.algorithms(), limits=limits) as client:
        first = client.negotiated
        await client.rekey()
        assert (await client.run_process("echo", input=data)).stdout == data
        assert client.negotiated == first
        assert len(client.statistics().rekeys) >= 2
    assert (first.kex, first.host_key) == (suite.kex, suite.host_key)
    assert first.cipher_client_to_server == first.cipher_server_to_client == suite.cipher


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_every_user_key_at_its_server(key_type: str, keyring: Keyring, their_server: ParamikoServer):
    async with their_server.connect(credentials=[trio_ssh.PrivateKeyCredential(keyring.user_keys[key_type])]) as client:
        assert (await client.run_process("echo", input=b"in")).stdout == b"in"


async def test_a_password_at_its_server(keyring: Keyring, their_server: ParamikoServer):
    wrong = [trio_ssh.PrivateKeyCredential(keyring.stranger), trio_ssh.Password("wrong horse")]
    async with their_server.connect(credentials=[*wrong, trio_ssh.Password(PASSWORD)]) as client:
        assert (await client.run_process("echo", input=b"in")).stdout == b"in"
    with pytest.raises(trio_ssh.AuthenticationFailed):
        async with their_server.connect(credentials=wrong):
            raise AssertionError("let in")


@pytest.mark.parametrize(("theirs", "ours"), LIMITS)
async def test_transfer_to_its_server(theirs: int | None, ours: int | None, their_server: ParamikoServer):
    data = pattern(MIB)
    async with their_server.connect(rekey_bytes=theirs, limits=trio_ssh.Limits(rekey_bytes=ours)) as client:
        up = await client.run_process("sha256", input=data)
        down = await client.run_process(f"source {MIB}")
        both = await client.run_process("echo", input=data)
        assert [up.stdout, sha256(down.stdout), sha256(both.stdout)] == [sha256(data)] * 3
        causes = client.statistics().rekeys
    assert len(causes) >= (2 if ours is None else 2 * MIB // (ours + PACKET))
    if ours is None:
        assert set(causes) == {trio_ssh.RekeyCause.PEER}
    if theirs is None:
        assert set(causes) <= {trio_ssh.RekeyCause.SENT, trio_ssh.RekeyCause.RECEIVED}


async def test_many_processes_at_its_server(their_server: ParamikoServer):
    digests: list[bytes] = []

    async def exchange(client: trio_ssh.Client) -> None:
        digests.append(sha256((await client.run_process("echo", input=pattern(MIB))).stdout))

    async with their_server.connect(limits=trio_ssh.Limits(rekey_bytes=64 * KIB)) as client, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(exchange, client)
    assert digests == [sha256(pattern(MIB))] * 3


async def test_what_its_server_is_told(their_server: ParamikoServer):
    async with their_server.connect() as client:
        failed = await client.run_process("exit 7", check=False)
        assert (failed.exit_status, failed.stdout, failed.stderr) == (7, b"to stdout\n", b"to stderr\n")
        terminal = trio_ssh.Terminal("vt100", 91, 37)
        async with client.open_process("told", environ={"ONE": "first"}, terminal=terminal) as process:
            process.resize(132, 50)
            await process.stdin.aclose()
            assert await process.wait() == 0
            assert await process.stdout.receive_some() == b"ONE=first\nvt100 91 37\nnow 132 50\n"
