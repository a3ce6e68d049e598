"""AsyncSSH's client at our server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import asyncssh
import attrs
import pytest
import trio

import trio_ssh
from tests.interop.asyncssh_peer import ASYNCSSH, AsyncioThread, asyncssh_client
from tests.interop.keyring import Keyring, key_type_of
from tests.interop.matrix import Suite, each_suite
from tests.interop.services import KIB, MIB, PACKET, PASSWORD, StartServer, pattern, sha256

# AsyncSSH passes on what cryptography says about finite-field groups.
pytestmark = pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")


@pytest.fixture(scope="module")
def asyncio_thread() -> Iterator[AsyncioThread]:
    with AsyncioThread.running() as thread:
        yield thread


@each_suite(ASYNCSSH)
async def test_every_algorithm(suite: Suite, keyring: Keyring, serve_ours: StartServer, asyncio_thread: AsyncioThread):
    """They count to 64 KiB, we to 100 KiB: keys change from both sides."""
    server = await serve_ours(limits=trio_ssh.Limits(rekey_bytes=100 * KIB))
    data = pattern(200 * KIB)

    async def work() -> bytes:
        async with asyncssh_client(
            keyring,
            server.port,
            rekey_bytes=64 * KIB,
            kex_algs=[suite.kex],
            server_host_key_algs=[suite.host_key],
            encryption_algs=[suite.cipher],
            mac_algs=[suite.mac],
            compression_algs=[suite.compression],
        ) as connection:
            done = await connection.run("echo", input=data, encoding=None, check=True)
            return bytes(done.stdout)  # type: ignore[arg-type]

    assert await asyncio_thread.run(work()) == data
    [negotiated, *again] = [event.negotiated for event in server.all_of(trio_ssh.KeyExchangeDone)]
    assert (negotiated.kex, negotiated.host_key) == (suite.kex, suite.host_key)
    assert negotiated.cipher_client_to_server == negotiated.cipher_server_to_client == suite.cipher
    assert negotiated.mac_client_to_server in (suite.mac, "")
    assert negotiated.compression == (suite.compression, suite.compression)
    assert len(again) >= 3
    assert all(later == negotiated for later in again)


@pytest.mark.parametrize("algorithm", ASYNCSSH.host_keys)
async def test_every_user_key(algorithm: str, keyring: Keyring, serve_ours: StartServer, asyncio_thread: AsyncioThread):
    server = await serve_ours()

    async def work() -> None:
        key_file = str(keyring.user_key_file(key_type_of(algorithm)))
        async with asyncssh_client(keyring, server.port, client_keys=[key_file], signature_algs=[algorithm]):
            pass

    await asyncio_thread.run(work())
    assert [event.method for event in server.all_of(trio_ssh.AuthAttempted) if event.outcome == "granted"] == ["publickey"]


@pytest.mark.parametrize("password", [PASSWORD, "wrong horse"])
async def test_a_password(password: str, keyring: Keyring, serve_ours: StartServer, asyncio_thread: AsyncioThread):
    server = await serve_ours()

    async def work() -> None:
        async with asyncssh_client(keyring, server.port, client_keys=None, password=password):
            pass

    if password == PASSWORD:
        await asyncio_thread.run(work())
    else:
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncio_thread.run(work())


@pytest.mark.parametrize(("theirs", "ours"), [(64 * KIB, None), (KIB, None), (None, 64 * KIB), (None, 16), (100 * KIB, 100 * KIB)])
async def test_transfer_under_rekeying(
    theirs: int | None, ours: int | None, keyring: Keyring, serve_ours: StartServer, asyncio_thread: AsyncioThread
):
    """A mebibyte up and one down at once, three times over one connection, then three at once."""
    server = await serve_ours(limits=trio_ssh.Limits(rekey_bytes=ours))
    options = {} if theirs is None else {"rekey_bytes": theirs}

    async def exchange(connection: asyncssh.SSHClientConnection) -> list[bytes]:
        done = await connection.run(f"exchange {MIB}", input=pattern(MIB), encoding=None, check=True)
        return [sha256(bytes(done.stdout)), bytes(done.stderr)]  # type: ignore[arg-type]

    async def work() -> list[list[bytes]]:
        async with asyncssh_client(keyring, server.port, **options) as connection:
            one_by_one = [await exchange(connection) for _ in range(3)]
            at_once = await asyncio.gather(*(exchange(connection) for _ in range(3)))
            return [*one_by_one, *at_once]

    assert await asyncio_thread.run(work()) == [[sha256(pattern(MIB))] * 2] * 6
    causes = set(server.rekeys())
    assert len(server.rekeys()) >= (6 if ours is None else 6 * MIB // (ours + PACKET))
    if ours is None:
        assert causes == {trio_ssh.RekeyCause.PEER}
    if theirs is None:
        assert causes <= {trio_ssh.RekeyCause.SENT, trio_ssh.RekeyCause.RECEIVED}


async def test_how_processes_end(keyring: Keyring, serve_ours: StartServer, asyncio_thread: AsyncioThread):
    server = await serve_ours()

    async def work() -> list[asyncssh.SSHCompletedProcess]:
        async with asyncssh_client(keyring, server.port) as connection:
            return [
                await connection.run("exit 7"),
                await connection.run("die TERM"),
                await connection.run("environ", env={"LC_ONE": "first", "SECRET": "no"}),
            ]

    failed, killed, told = await asyncio_thread.run(work())
    assert (failed.exit_status, failed.stdout, failed.stderr) == (7, "to stdout\n", "to stderr\n")
    assert killed.exit_signal is not None
    assert killed.exit_signal[:3] == ("TERM", False, "as asked")
    assert told.stdout == "LC_ONE=first\n"


async def test_signals_and_sizes(keyring: Keyring, serve_ours: StartServer, asyncio_thread: AsyncioThread):
    async def handler(session: trio_ssh.ServerSession) -> int:
        assert session.terminal is not None
        await session.send_all(f"{session.terminal.term} {session.terminal.columns} {session.terminal.rows}\n".encode())
        changed = await session.resizes.receive()
        await session.send_all(f"now {changed.columns} {changed.rows}\n".encode())
        await session.send_all(f"signal {await session.signals.receive()}\n".encode())
        return 0

    server = await serve_ours(handler)

    async def work() -> list[str]:
        async with asyncssh_client(keyring, server.port) as connection:
            process = await connection.create_process(term_type="vt100", term_size=(91, 37))
            first = await process.stdout.readline()
            process.change_terminal_size(132, 50)
            second = await process.stdout.readline()
            process.send_signal("INT")
            return [first, second, await process.stdout.readline(), str((await process.wait()).exit_status)]

    assert await asyncio_thread.run(work()) == ["vt100 91 37\n", "now 132 50\n", "signal INT\n", "0"]


@attrs.define(eq=False)
class Count(logging.Filter):
    """Sets its event when a text has been logged that many times: a filter that lets everything pass."""

    text: str
    left: int
    done: asyncio.Event = attrs.field(factory=asyncio.Event)

    def filter(self, record: logging.LogRecord) -> bool:
        self.left -= self.text in record.getMessage()
        if self.left <= 0:
            self.done.set()
        return True


async def test_their_keepalive_is_answered(
    keyring: Keyring, serve_ours: StartServer, asyncio_thread: AsyncioThread, caplog: pytest.LogCaptureFixture
):
    """The session says nothing meanwhile."""
    server = await serve_ours()
    caplog.set_level(logging.DEBUG, "asyncssh")

    async def work() -> int | None:
        answers = Count("Got keepalive response", 22)
        async with asyncssh_client(keyring, server.port, keepalive_interval=0.02, keepalive_count_max=20) as connection:
            process = await connection.create_process("sha256")
            logger = logging.getLogger("asyncssh")
            logger.addFilter(answers)
            try:
                await answers.done.wait()
            finally:
                logger.removeFilter(answers)
            process.stdin.write_eof()
            return (await process.wait()).exit_status

    assert await asyncio_thread.run(work()) == 0


async def test_a_client_that_is_cut_off(keyring: Keyring, serve_ours: StartServer, asyncio_thread: AsyncioThread):
    over = trio.Event()

    async def handler(session: trio_ssh.ServerSession) -> None:
        try:
            while True:
                await session.send_all(pattern(256 * KIB))
        finally:
            over.set()

    server = await serve_ours(handler)

    async def work() -> None:
        async with asyncssh_client(keyring, server.port) as connection:
            process = await connection.create_process("anything", encoding=None)
            await process.stdout.read(MIB)
            connection.abort()

    await asyncio_thread.run(work())
    with trio.fail_after(5):
        await over.wait()
