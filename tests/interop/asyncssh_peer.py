"""AsyncSSH as a peer: an event loop of its own in a thread, which lives as long as the run."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import asyncssh
import attrs
import trio

import trio_ssh
from tests.interop.keyring import Keyring
from tests.interop.matrix import Shared
from tests.interop.services import PASSWORD, pattern

T = TypeVar("T")
ANSWER_SECONDS = 60


def shared_with_asyncssh() -> Shared:
    """What the installed version has of what we have."""
    lists = (
        asyncssh.kex.get_kex_algs(),
        asyncssh.public_key.get_public_key_algs(),
        asyncssh.encryption.get_encryption_algs(),
        asyncssh.mac.get_mac_algs(),
        asyncssh.compression.get_compression_algs(),
    )
    return Shared.of(*([name.decode() for name in names] for names in lists))


ASYNCSSH = shared_with_asyncssh()


@attrs.frozen
class AsyncioThread:
    """Where AsyncSSH runs."""

    loop: asyncio.AbstractEventLoop

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator[AsyncioThread]:
        loop = asyncio.new_event_loop()
        # Its one worker is started here, so that no test is blamed for it.
        with ThreadPoolExecutor(1) as workers:
            workers.submit(int).result()
            loop.set_default_executor(workers)
            thread = threading.Thread(target=loop.run_forever, name="asyncio peer")
            thread.start()
            try:
                yield cls(loop)
            finally:
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                loop.close()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """From trio: let the loop do it, and wait for what comes out."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        return await trio.to_thread.run_sync(future.result, ANSWER_SECONDS)

    def run_sync(self, work: Coroutine[Any, Any, T]) -> T:
        """For fixtures outside of trio."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(ANSWER_SECONDS)


# --- its server --------------------------------------------------------------------------------------------------------------------------


class PasswordServer(asyncssh.SSHServer):
    """Lets in who knows the password; keys are AsyncSSH's own affair."""

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return password == PASSWORD


async def _serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """As `services.services` on our side."""
    name, *words = (process.command or "none").split()
    if name == "echo":
        while data := await process.stdin.read(64 * 1024):
            process.stdout.write(data)
            await process.stdout.drain()
        process.exit(0)
    elif name == "sha256":
        state = hashlib.sha256()
        while data := await process.stdin.read(64 * 1024):
            state.update(data)
        process.stdout.write(state.hexdigest().encode())
        process.exit(0)
    elif name == "source":
        process.stdout.write(pattern(int(words[0])))
        await process.stdout.drain()
        process.exit(0)
    elif name == "exit":
        process.stdout.write(b"to stdout\n")
        process.stderr.write(b"to stderr\n")
        process.exit(int(words[0]))
    elif name == "die":
        process.exit_with_signal(words[0], msg="as asked")
    elif name == "environ":
        process.stdout.write("".join(f"{name}={value}\n" for name, value in sorted(process.env.items())).encode())
        process.exit(0)
    elif name == "listen":
        await _tell_of_signals_and_sizes(process)
    else:
        process.exit(127)


async def _tell_of_signals_and_sizes(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Each as a line, until the input ends."""
    process.stdout.write(f"{process.get_terminal_type()} {process.get_terminal_size()}\n".encode())
    while True:
        try:
            if not await process.stdin.read(100):
                break
        except asyncssh.TerminalSizeChanged as change:
            process.stdout.write(f"now {change.width} {change.height}\n".encode())
        except asyncssh.SignalReceived as caught:
            process.stdout.write(f"signal {caught.signal}\n".encode())
    process.exit(0)


@attrs.frozen
class AsyncSSHServer:
    """It listens on that port with all algorithms we share, and all our host keys."""

    keyring: Keyring
    acceptor: asyncssh.SSHAcceptor

    @classmethod
    async def start(cls, keyring: Keyring, **options: Any) -> AsyncSSHServer:
        acceptor = await asyncssh.listen(
            "127.0.0.1",
            0,
            config=None,
            server_factory=PasswordServer,
            process_factory=_serve,
            encoding=None,
            line_editor=False,
            server_host_keys=[str(keyring.host_key_file(key_type)) for key_type in keyring.host_keys],
            authorized_client_keys=str(keyring.authorized_keys),
            kex_algs=ASYNCSSH.kex,
            signature_algs=ASYNCSSH.host_keys,
            encryption_algs=ASYNCSSH.ciphers,
            mac_algs=ASYNCSSH.macs,
            compression_algs=ASYNCSSH.compression,
            **options,
        )
        return cls(keyring, acceptor)

    async def stop(self) -> None:
        self.acceptor.close()
        await self.acceptor.wait_closed()

    def connect(
        self,
        *,
        credentials: list[trio_ssh.Credential] | None = None,
        algorithms: trio_ssh.Algorithms | None = None,
        limits: trio_ssh.Limits | None = None,
        observer: trio_ssh.Observer | None = None,
    ) -> trio_ssh.Connecting:
        """Our client to it."""
        return trio_ssh.connect(
            "127.0.0.1",
            self.acceptor.get_port(),
            username="ada",
            credentials=credentials or [trio_ssh.PrivateKeyCredential(self.keyring.user_keys["ssh-ed25519"])],
            host_keys=trio_ssh.KnownHosts([self.keyring.known_hosts]),
            algorithms=algorithms,
            limits=limits,
            observer=observer,
        )


# --- its client --------------------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def asyncssh_client(keyring: Keyring, port: int, **options: Any) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """AsyncSSH's client, connected; for its own loop."""
    settings: dict[str, Any] = {
        "username": "ada",
        "client_keys": [str(keyring.user_key_file("ssh-ed25519"))],
        "known_hosts": str(keyring.known_hosts),
        "agent_path": None,
        "config": None,
        **options,
    }
    async with asyncssh.connect("127.0.0.1", port, **settings) as connection:
        yield connection
        connection.close()
        await connection.wait_closed()
