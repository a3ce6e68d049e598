"""trio_ssh, both ends."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

import trio

import trio_ssh
from benchmarks.peers.common import HOST, USER, Setup, Verb, blocks, check_count, listening, pause, run_peer


async def handle(session: trio_ssh.ServerSession) -> int:
    command, _, argument = (session.command or "").partition(" ")
    if command == "sink":
        counted = 0
        async for chunk in session:
            counted += len(chunk)
        await session.send_all(b"%d" % counted)
    elif command == "source":
        for block in blocks(int(argument)):
            await session.send_all(block)
    elif command == "echo":
        async for chunk in session:
            await session.send_all(chunk)
    return 0


def algorithms(setup: Setup) -> trio_ssh.Algorithms:
    return trio_ssh.Algorithms(kex=[setup.kex], ciphers=[setup.cipher], host_keys=["ssh-ed25519"])


def serve(setup: Setup) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(
                lambda task_status: trio_ssh.serve(
                    handle,
                    0,
                    host=HOST,
                    host_keys=[trio_ssh.PrivateKey.from_file(setup.host_key)],
                    authenticate=trio_ssh.AuthorizedKeys.from_file(f"{setup.user_key}.pub"),
                    algorithms=algorithms(setup),
                    # All clients come from one address, as fast as they can.
                    limits=trio_ssh.Limits(rekey_bytes=setup.rekey_bytes, handshakes_per_source_per_second=None),
                    task_status=task_status,
                )
            )
            listening(listeners[0].socket.getsockname()[1])

    trio.run(main)


class Driver:
    """The client's verbs."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.user_key = trio_ssh.PrivateKey.from_file(setup.user_key)
        self.host_keys = trio_ssh.PinnedKeys([trio_ssh.PrivateKey.from_file(setup.host_key).public_key])

    def connect(self) -> trio_ssh.Connecting:
        return trio_ssh.connect(
            HOST,
            self.setup.port,
            username=USER,
            credentials=[trio_ssh.PrivateKeyCredential(self.user_key)],
            host_keys=self.host_keys,
            algorithms=algorithms(self.setup),
            limits=trio_ssh.Limits(rekey_bytes=self.setup.rekey_bytes),
        )

    async def bulk_up(self, size: int) -> float:
        async with self.connect() as client:
            started = time.perf_counter()
            async with client.open_process("sink", stderr=trio_ssh.DISCARD) as process:
                for block in blocks(size):
                    await process.stdin.send_all(block)
                await process.stdin.aclose()
                text = b"".join([bytes(chunk) async for chunk in process.stdout])
                seconds = time.perf_counter() - started
        check_count(size, int(text))
        return seconds

    async def bulk_down(self, size: int) -> float:
        counted = 0
        async with self.connect() as client:
            started = time.perf_counter()
            async with client.open_process(f"source {size}", stderr=trio_ssh.DISCARD) as process:
                async for chunk in process.stdout:
                    counted += len(chunk)
                seconds = time.perf_counter() - started
        check_count(size, counted)
        return seconds

    async def login(self, times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            async with self.connect() as client:
                await client.run_process("true")
        return time.perf_counter() - started

    async def echo(self, times: int) -> float:
        async with self.connect() as client, client.open_process("echo", stderr=trio_ssh.DISCARD) as process:
            started = time.perf_counter()
            for _ in range(times):
                await process.stdin.send_all(b"x")
                await process.stdout.receive_some()
            return time.perf_counter() - started

    async def execute(self, times: int, at_once: int) -> float:
        async def some(client: trio_ssh.Client, times: int) -> None:
            for _ in range(times):
                await client.run_process("true")

        async with self.connect() as client:
            started = time.perf_counter()
            async with trio.open_nursery() as nursery:
                for _ in range(at_once):
                    nursery.start_soon(some, client, times // at_once)
            return time.perf_counter() - started

    async def hold(self, first: int, more: int) -> None:
        async with AsyncExitStack() as stack:
            for count in (first, more):
                for _ in range(count):
                    await stack.enter_async_context(self.connect())
                pause()


def verbs(setup: Setup) -> Mapping[str, Verb]:
    driver = Driver(setup)

    def in_trio(verb: Callable[..., Awaitable[float | None]]) -> Verb:
        return lambda **order: trio.run(lambda: verb(**order))

    return {name: in_trio(getattr(driver, name)) for name in ("bulk_up", "bulk_down", "login", "echo", "execute", "hold")}


if __name__ == "__main__":
    run_peer(serve, verbs)
