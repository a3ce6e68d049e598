"""Follow a command for as long as it runs: a connection that is lost is opened again, after a pause that grows and is never exact.

python examples/long_lived.py --user ada build.example 'tail -F /var/log/syslog'

What happens to the connection is printed to stderr. A refusal (a wrong host key, a key that is not let in) is no loss: it ends the program.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator

import trio

import trio_ssh

# Without keepalive questions a peer that has vanished is noticed only when we have something to send.
LIMITS = trio_ssh.Limits(keepalive_seconds=15, keepalive_misses=3)


def print_event(event: trio_ssh.Event) -> None:
    """An observer: called in passing, so it must be quick."""
    match event:
        case trio_ssh.ConnectionOpened(peer_software=software):
            text = f"connected to {trio_ssh.printable(software)}"
        case trio_ssh.KeyExchangeDone(cause=cause, seconds=seconds, negotiated=negotiated):
            text = f"keys agreed in {seconds * 1000:.0f} ms ({cause.value}): {negotiated.kex}, {negotiated.cipher_client_to_server}"
        case trio_ssh.AuthAttempted(method=method, outcome=outcome):
            text = f"authentication by {method}: {outcome}"
        case trio_ssh.ConnectionEnded(cause=None):
            text = "connection closed"
        case trio_ssh.ConnectionEnded(cause=cause_of_end):
            text = f"connection ended: {cause_of_end}"
        case _:
            return
    print(f"[{text}]", file=sys.stderr, flush=True)


def pauses(first: float, longest: float) -> Iterator[float]:
    """Doubling, and scattered so that a thousand clients do not come back in the same second."""
    base = first
    while True:
        yield base * random.uniform(0.5, 1)
        base = min(2 * base, longest)


async def follow_once(host: str, port: int, user: str | None, command: str) -> int | None:
    """To the end of the command; its exit status. Raises what ended the connection, if that ended first."""
    async with (
        trio_ssh.connect(host, port, username=user, limits=LIMITS, observer=print_event) as client,
        client.open_process(command, stderr=trio_ssh.MERGE) as process,
    ):
        async for chunk in process.stdout:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        return await process.wait()


async def follow(host: str, port: int, user: str | None, command: str, first_pause: float, longest_pause: float) -> int:
    waits = pauses(first_pause, longest_pause)
    while True:
        started = trio.current_time()
        try:
            status = await follow_once(host, port, user, command)
        except (trio_ssh.ConnectionLost, trio.BrokenResourceError):
            if trio.current_time() - started > longest_pause:
                waits = pauses(first_pause, longest_pause)  # that one went well for a while
            pause = next(waits)
            print(f"[again in {pause:.1f} s]", file=sys.stderr, flush=True)
            await trio.sleep(pause)
        else:
            return 255 if status is None else status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=22)
    parser.add_argument("--user")
    parser.add_argument("--first-pause", type=float, default=1, metavar="SECONDS")
    parser.add_argument("--longest-pause", type=float, default=60, metavar="SECONDS")
    parser.add_argument("host")
    parser.add_argument("command")
    wanted = parser.parse_args()
    try:
        return trio.run(
            follow, wanted.host, wanted.port, wanted.user, wanted.command, wanted.first_pause, wanted.longest_pause
        )
    except trio_ssh.SSHError as error:
        print(f"long_lived: {error}", file=sys.stderr)
        return 255
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
