"""Try a download that resumes, over a network that breaks: many seeds, minutes of simulated time each. A seed that fails replays.

    python examples/faulty_network.py --seeds 20
    python examples/faulty_network.py --seed 7

Everything here but `download` is the test; nothing of it needs a socket, a thread or a real clock.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

import trio

import trio_ssh
from trio_ssh import testing
from trio_ssh.testing import Link, SimulatedNetwork

FILE = bytes(range(256)) * 800
LIMITS = trio_ssh.Limits(keepalive_seconds=10, keepalive_misses=2)


async def download(network: SimulatedNetwork, size: int) -> tuple[bytes, int]:
    """The code that is tested: ask for what is missing, on as many connections as it takes. Gives the bytes and that number."""
    received, connections = bytearray(), 0
    while len(received) < size:
        connections += 1
        try:
            stream = await network.connect("server", 22, source="laptop")
            connecting = trio_ssh.connect(
                "server",
                stream=stream,
                username="ada",
                credentials=[trio_ssh.PrivateKeyCredential(testing.USER_KEY)],
                host_keys=trio_ssh.PinnedKeys([testing.HOST_KEY.public_key]),
                algorithms=testing.QUICK,
                limits=LIMITS,
            )
            with trio.move_on_after(60):
                async with connecting as client, client.open_process(f"from {len(received)}") as process:
                    async for chunk in process.stdout:
                        received += chunk
        except (trio_ssh.SSHError, trio.BrokenResourceError, OSError):
            await trio.sleep(1)
    return bytes(received), connections


async def send_file(session: trio_ssh.ServerSession) -> None:
    """The server's handler: ``from N`` sends the file from byte N on."""
    assert session.command is not None
    await session.send_all(FILE[int(session.command.removeprefix("from ")) :])


async def bad_weather(network: SimulatedNetwork) -> None:
    """Now and then nothing gets through for a while."""
    while True:
        await trio.sleep(network.random.uniform(1, 20))
        network.partition("laptop", "server")
        await trio.sleep(network.random.uniform(1, 60))
        network.heal("laptop", "server")


async def scenario(network: SimulatedNetwork) -> str:
    """One download. Whatever the seed makes of the network, the file must arrive whole."""
    network.set_link(Link(latency_seconds=0.05, jitter_seconds=0.1))
    # Each connection breaks behind a number of bytes that the seed draws, and a byte of some is damaged on the way.
    down = Link(latency_seconds=0.05, bytes_per_second=50_000, cut_at=range(100_000), flip_at=range(200_000))
    network.set_link(down, sender="server", receiver="laptop")
    serve = partial(
        trio_ssh.serve_listeners,
        send_file,
        [network.listen("server", 22)],
        host_keys=[testing.HOST_KEY],
        authenticate=trio_ssh.AuthorizedKeys.of([testing.USER_KEY.public_key]),
        algorithms=testing.QUICK,
        limits=LIMITS,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        nursery.start_soon(bad_weather, network)
        received, connections = await download(network, len(FILE))
        assert received == FILE, f"{len(received)} bytes, and not those of the file"
        nursery.cancel_scope.cancel()
    return f"{connections} connections, {trio.current_time():.0f} seconds"


def main() -> None:
    parser = argparse.ArgumentParser(description="Try a download over a simulated network that breaks.")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds to try")
    parser.add_argument("--seed", type=int, help="this one only")
    options = parser.parse_args()
    for seed in range(options.seeds) if options.seed is None else [options.seed]:
        try:
            print(f"seed {seed}: {testing.simulate(scenario, seed=seed)}")
        except Exception as error:
            sys.exit(f"seed {seed}: FAILED: {error!r}; replay it with --seed {seed}")


if __name__ == "__main__":
    main()
