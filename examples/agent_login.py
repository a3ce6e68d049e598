"""Show the keys of your SSH agent, log in with them and nothing else, run one command, and say by what the server let you in.

python examples/agent_login.py build.example uname -a
python examples/agent_login.py --agent ~/.other-agent --user ada --port 2222 127.0.0.1 true
"""

from __future__ import annotations

import argparse
import sys

import trio

import trio_ssh
from trio_ssh.agent import open_agent


async def show_keys(setting: str | None) -> None:
    """One line for each key and certificate that the agent holds."""
    async with await open_agent(setting) as agent:
        for identity in await agent.list_identities():
            try:
                key = identity.read_key()
            except trio_ssh.DecodeError as error:
                print(f"{identity.algorithm}: {error}", file=sys.stderr)
                continue
            plain = key if isinstance(key, trio_ssh.PublicKey) else key.public_key
            print(f"{key.algorithm} {plain.fingerprint()} {trio_ssh.printable(identity.comment)}", file=sys.stderr)


async def run(setting: str | None, host: str, port: int, user: str | None, command: str) -> int:
    """The command's exit status; 255 if a signal ended it."""
    await show_keys(setting)
    credentials = [trio_ssh.AgentCredential(setting)]
    async with trio_ssh.connect(host, port, username=user, credentials=credentials) as client:
        print(f"in by {', '.join(client.authenticated_by)}", file=sys.stderr)
        result = await client.run_process(command, check=False)
    sys.stdout.buffer.write(result.stdout)
    sys.stderr.buffer.write(result.stderr)
    return 255 if result.exit_status is None else result.exit_status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", metavar="PATH", help="its socket, if not the one of SSH_AUTH_SOCK")
    parser.add_argument("--port", type=int, default=22)
    parser.add_argument("--user")
    parser.add_argument("host")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    wanted = parser.parse_args()
    try:
        return trio.run(run, wanted.agent, wanted.host, wanted.port, wanted.user, " ".join(wanted.command))
    except trio_ssh.SSHError as error:
        print(f"agent_login: {error}", file=sys.stderr)
        return 255


if __name__ == "__main__":
    sys.exit(main())
