"""No SSH at all: a byte echoed by Trio over TCP, the floor under every echo."""

from __future__ import annotations

import time
from collections.abc import Mapping

import trio

from benchmarks.peers.common import HOST, Setup, Verb, listening, run_peer


async def handle(stream: trio.SocketStream) -> None:
    async for chunk in stream:
        await stream.send_all(chunk)


def serve(setup: Setup) -> None:
    async def main() -> None:
        listeners = await trio.open_tcp_listeners(0, host=HOST)
        listening(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(handle, listeners)

    trio.run(main)


def verbs(setup: Setup) -> Mapping[str, Verb]:
    async def echo(times: int) -> float:
        async with await trio.open_tcp_stream(HOST, setup.port) as stream:
            started = time.perf_counter()
            for _ in range(times):
                await stream.send_all(b"x")
                await stream.receive_some()
            return time.perf_counter() - started

    return {"echo": lambda times: trio.run(echo, times)}


if __name__ == "__main__":
    run_peer(serve, verbs)
