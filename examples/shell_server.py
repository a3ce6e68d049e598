"""A server for the login shell and the commands of your own account: a terminal, signals, exit statuses and all.

python examples/shell_server.py --port 2222 --authorized-keys ~/.ssh/authorized_keys
ssh -p 2222 127.0.0.1
"""

from __future__ import annotations

import argparse
import getpass
import logging
import sys
from pathlib import Path

import trio

import trio_ssh


def host_key(path: Path) -> trio_ssh.PrivateKey:
    """The key in that file; a new one is made and kept there if there is none."""
    if not path.exists():
        trio_ssh.PrivateKey.generate(comment="host key").write_file(path)
    return trio_ssh.PrivateKey.from_file(path)


class OwnAccount:
    """A policy: the account that we run as, for whoever holds a key of the file. The file is read again when it has changed."""

    methods = ("publickey",)

    def __init__(self, keys: trio_ssh.AuthorizedKeys) -> None:
        self._keys = keys

    async def __call__(self, attempt: trio_ssh.AuthAttempt) -> trio_ssh.Verdict:
        return await self._keys(attempt) if attempt.username == getpass.getuser() else trio_ssh.REFUSE


async def serve(port: int, key_path: Path, keys_path: Path) -> None:
    key = host_key(key_path)
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(
            lambda task_status: trio_ssh.serve(
                trio_ssh.login_shell(),
                port,
                host="127.0.0.1",
                host_keys=[key],
                authenticate=OwnAccount(trio_ssh.AuthorizedKeys.from_file(keys_path)),
                task_status=task_status,
            )
        )
        name = listeners[0].socket.getsockname()
        print(f"listening on {name[0]} port {name[1]}; the host key is {key.public_key.fingerprint()}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=2222, help="0 is any free one")
    parser.add_argument("--host-key", type=Path, default=Path("host_ed25519"))
    parser.add_argument("--authorized-keys", type=Path, default=Path.home() / ".ssh" / "authorized_keys")
    wanted = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    status = 0
    try:
        trio.run(serve, wanted.port, wanted.host_key, wanted.authorized_keys)
    except* KeyboardInterrupt:
        print("shell_server: stopped", file=sys.stderr)
    except* (trio_ssh.SSHError, OSError) as errors:
        print(f"shell_server: {errors.exceptions[0]}", file=sys.stderr)
        status = 255
    return status


if __name__ == "__main__":
    sys.exit(main())
