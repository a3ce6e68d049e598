"""Ask about a server that is not known yet, save its key, and refuse another one from then on.

python examples/trust_on_first_use.py --user ada --port 2222 --known-hosts hosts 127.0.0.1 uptime
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import trio

import trio_ssh


async def ask(question: trio_ssh.HostKeyQuestion) -> bool:
    """The person's word. Everything else goes on while they compare the fingerprint; the server's patience has an end, though."""
    print(question.text(), file=sys.stderr)
    print("Is that the right key (yes or no)? ", end="", file=sys.stderr, flush=True)
    answer: str = await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
    return answer.strip() == "yes"


async def run(host: str, port: int, user: str | None, known_hosts: Path, command: str) -> int:
    policy = trio_ssh.AskUser(trio_ssh.KnownHosts(known_hosts), ask)
    async with trio_ssh.connect(host, port, username=user, host_keys=policy) as client:
        result = await client.run_process(command, check=False)
    sys.stdout.buffer.write(result.stdout)
    return 255 if result.exit_status is None else result.exit_status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=22)
    parser.add_argument("--user")
    parser.add_argument("--known-hosts", type=Path, default=Path.home() / ".ssh" / "known_hosts")
    parser.add_argument("host")
    parser.add_argument("command")
    wanted = parser.parse_args()
    try:
        return trio.run(run, wanted.host, wanted.port, wanted.user, wanted.known_hosts, wanted.command)
    except trio_ssh.HostKeyChanged as error:
        print(f"Somebody else, or a new key: {error}", file=sys.stderr)  # with the command that removes the saved key
    except trio_ssh.SSHError as error:
        print(f"trust_on_first_use: {error}", file=sys.stderr)
    return 255


if __name__ == "__main__":
    sys.exit(main())
