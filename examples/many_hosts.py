"""One command on many machines at once, each with the same deadline; a machine that fails is one line, not the end of the others.

python examples/many_hosts.py --seconds 20 uptime web1.example web2.example:2222 ada@db.example
"""

from __future__ import annotations

import argparse
import sys

import trio

import trio_ssh


def split(destination: str) -> tuple[str | None, str, int]:
    """User, host and port of ``[user@]host[:port]``."""
    user, at, rest = destination.rpartition("@")
    host, colon, port = rest.partition(":")
    return (user if at else None), host, (int(port) if colon else 22)


async def run_on(destination: str, command: str, seconds: float) -> tuple[bool, str]:
    """Whether it went well, and the first line of what there is to say."""
    user, host, port = split(destination)
    try:
        with trio.fail_after(seconds):
            async with trio_ssh.connect(host, port, username=user) as client:
                result = await client.run_process(command)
    except trio.TooSlowError:
        return False, f"not done within {seconds:g} s"
    except trio_ssh.ProcessFailed as error:
        return False, f"{error}: {trio_ssh.printable(error.stderr.strip(), 200)}"
    except (trio_ssh.SSHError, trio.BrokenResourceError) as error:
        return False, f"{error}"
    return True, trio_ssh.printable(result.stdout.strip(), 200)


async def run_everywhere(destinations: list[str], command: str, seconds: float, at_once: int) -> int:
    """How many failed."""
    limiter = trio.CapacityLimiter(at_once)
    failures = 0

    async def one(destination: str) -> None:
        nonlocal failures
        async with limiter:
            done, text = await run_on(destination, command, seconds)
        failures += not done
        print(f"{destination}: {'' if done else 'FAILED: '}{text}", flush=True)

    async with trio.open_nursery() as nursery:
        for destination in destinations:
            nursery.start_soon(one, destination)
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("command")
    parser.add_argument("destination", nargs="+")
    wanted = parser.parse_args()
    return min(trio.run(run_everywhere, wanted.destination, wanted.command, wanted.seconds, wanted.at_once), 254)


if __name__ == "__main__":
    sys.exit(main())
