"""AsyncSSH, both ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import asyncssh

from benchmarks.peers.common import BLOCK_BYTES, HOST, USER, Setup, Verb, blocks, check_count, listening, pause, run_peer


async def handle(process: asyncssh.SSHServerProcess[bytes]) -> None:
    command, _, argument = (process.command or "").partition(" ")
    if command == "sink":
        counted = 0
        while chunk := await process.stdin.read(BLOCK_BYTES):
            counted += len(chunk)
        process.stdout.write(b"%d" % counted)
    elif command == "source":
        for block in blocks(int(argument)):
            process.stdout.write(block)  # type: ignore[arg-type]  # any bytes-like object is taken
            await process.stdout.drain()
    elif command == "echo":
        while chunk := await process.stdin.read(BLOCK_BYTES):
            process.stdout.write(chunk)
    process.exit(0)


def serve(setup: Setup) -> None:
    async def main() -> None:
        server = await asyncssh.listen(
            HOST,
            0,
            config=[],
            server_host_keys=[str(setup.host_key)],
            authorized_client_keys=f"{setup.user_key}.pub",
            kex_algs=[setup.kex],
            encryption_algs=[setup.cipher],
            compression_algs=["none"],
            process_factory=handle,
            encoding=None,
            **_rekey(setup),
        )
        listening(server.get_port())
        await server.wait_closed()

    asyncio.run(main())


def _rekey(setup: Setup) -> dict[str, int]:
    return {} if setup.rekey_bytes is None else {"rekey_bytes": setup.rekey_bytes}


class Driver:
    """The client's verbs. Keys are read once, and no configuration file is looked for."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.user_key = asyncssh.read_private_key(str(setup.user_key))
        host_key = asyncssh.read_public_key(f"{setup.host_key}.pub").export_public_key().decode()
        self.known_hosts = asyncssh.import_known_hosts(f"[{HOST}]:{setup.port} {host_key}")

    def connect(self) -> asyncssh.misc._ACMWrapper[asyncssh.SSHClientConnection]:
        setup = self.setup
        return asyncssh.connect(
            HOST,
            setup.port,
            config=[],
            username=USER,
            client_keys=[self.user_key],
            agent_path=None,
            known_hosts=self.known_hosts,
            kex_algs=[setup.kex],
            encryption_algs=[setup.cipher],
            compression_algs=["none"],
            **_rekey(setup),
        )

    async def bulk_up(self, size: int) -> float:
        async with self.connect() as client:
            started = time.perf_counter()
            async with client.create_process("sink", encoding=None) as process:
                for block in blocks(size):
                    process.stdin.write(block)
                    await process.stdin.drain()
                process.stdin.write_eof()
                text = await process.stdout.read()
                seconds = time.perf_counter() - started
        check_count(size, int(text))
        return seconds

    async def bulk_down(self, size: int) -> float:
        counted = 0
        async with self.connect() as client:
            started = time.perf_counter()
            async with client.create_process(f"source {size}", encoding=None) as process:
                while chunk := await process.stdout.read(BLOCK_BYTES):
                    counted += len(chunk)
                seconds = time.perf_counter() - started
        check_count(size, counted)
        return seconds

    async def login(self, times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            async with self.connect() as client:
                await client.run("true", check=True, encoding=None)
        return time.perf_counter() - started

    async def echo(self, times: int) -> float:
        async with self.connect() as client, client.create_process("echo", encoding=None) as process:
            started = time.perf_counter()
            for _ in range(times):
                process.stdin.write(b"x")
                await process.stdout.read(1)
            seconds = time.perf_counter() - started
            process.stdin.write_eof()
            return seconds

    async def execute(self, times: int, at_once: int) -> float:
        async def some(client: asyncssh.SSHClientConnection, times: int) -> None:
            for _ in range(times):
                await client.run("true", check=True, encoding=None)

        async with self.connect() as client:
            started = time.perf_counter()
            await asyncio.gather(*(some(client, times // at_once) for _ in range(at_once)))
            return time.perf_counter() - started

    async def hold(self, first: int, more: int) -> None:
        held: list[asyncssh.SSHClientConnection] = []
        for count in (first, more):
            for _ in range(count):
                held.append(await self.connect())
            pause()
        for client in held:
            client.abort()


def verbs(setup: Setup) -> Mapping[str, Verb]:
    driver = Driver(setup)

    def in_asyncio(verb: Callable[..., Awaitable[float | None]]) -> Verb:
        async def main(order: dict[str, int]) -> float | None:
            return await verb(**order)

        return lambda **order: asyncio.run(main(order))

    return {name: in_asyncio(getattr(driver, name)) for name in ("bulk_up", "bulk_down", "login", "echo", "execute", "hold")}


if __name__ == "__main__":
    run_peer(serve, verbs)
