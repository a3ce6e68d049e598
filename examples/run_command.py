"""Run one command on another machine, print what it prints, and end as it ends.

python examples/run_command.py build.example uname -a
python examples/run_command.py --user ada --port 2222 127.0.0.1 'exit 7'
"""

from __future__ import annotations

import argparse
import sys

import trio

import trio_ssh


async def run(host: str, port: int, user: str | None, command: str) -> int:
    """The command's exit status; 255 if a signal ended it, as ssh has it."""
    async with trio_ssh.connect(host, port, username=user) as client:
        result = await client.run_process(command, check=False)
    sys.stdout.buffer.write(result.stdout)
    sys.stderr.buffer.write(result.stderr)
    return 255 if result.exit_status is None else result.exit_status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=22)
    parser.add_argument("--user")
    parser.add_argument("host")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    wanted = parser.parse_args()
    try:
        return trio.run(run, wanted.host, wanted.port, wanted.user, " ".join(wanted.command))
    except trio_ssh.SSHError as error:
        print(f"run_command: {error}", file=sys.stderr)
        return 255


if __name__ == "__main__":
    sys.exit(main())
