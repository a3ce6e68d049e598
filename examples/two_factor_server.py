"""A server that wants two things of everybody: a key, and then the code that their phone shows (TOTP, RFC 6238).

Each line of the file of users is a name, the secret of the codes (base32, as authenticator apps take it) and a public key:

    ada JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP ssh-ed25519 AAAAC3NzaC1lZDI1NTE5...

python examples/two_factor_server.py --port 2222 --users users
ssh -p 2222 ada@127.0.0.1
"""

from __future__ import annotations

import argparse
import base64
import hmac
import struct
import sys
import time
from pathlib import Path

import attrs
import trio

import trio_ssh

STEP_SECONDS = 30
DIGITS = 6


@attrs.define
class User:
    secret: bytes
    key: trio_ssh.PublicKey
    last_step: int = 0
    """Of the last code that was taken: each one counts once."""


def read_users(path: Path) -> dict[str, User]:
    users = {}
    for line in path.read_text().splitlines():
        name, secret, key = line.split(" ", 2)
        users[name] = User(base64.b32decode(secret), trio_ssh.PublicKey.from_openssh_line(key))
    return users


def code_of(secret: bytes, step: int) -> str:
    """RFC 4226 §5.3."""
    digest = hmac.digest(secret, struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 15
    number = struct.unpack_from(">I", digest, offset)[0] & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


@attrs.frozen
class Keys:
    """The first factor: the user's own key."""

    users: dict[str, User]

    methods = ("publickey",)

    async def __call__(self, attempt: trio_ssh.AuthAttempt) -> trio_ssh.Verdict:
        user = self.users.get(attempt.username)
        return trio_ssh.ACCEPT if user is not None and attempt.public_key == user.key else trio_ssh.REFUSE


def codes(users: dict[str, User]) -> trio_ssh.KeyboardInteractiveServer:
    """The second: the code of now, or of the step before or behind, because clocks differ. Only who has passed the first is asked."""

    async def ask(attempt: trio_ssh.AuthAttempt) -> bool:
        (answer,) = await attempt.ask([trio_ssh.Prompt("One-time code: ", echo=True)])
        user = users[attempt.username]
        now = int(time.time()) // STEP_SECONDS
        for step in (now - 1, now, now + 1):
            if step > user.last_step and hmac.compare_digest(code_of(user.secret, step).encode(), answer.strip().encode()):
                user.last_step = step
                return True
        return False

    return trio_ssh.KeyboardInteractiveServer(ask)


async def greet(session: trio_ssh.ServerSession) -> None:
    await session.send_all(f"hello {session.username}, it is you indeed\n".encode())


async def serve(port: int, users: dict[str, User]) -> None:
    key = trio_ssh.PrivateKey.generate()  # a real server keeps its key: see shell_server.py
    policy = trio_ssh.all_of(Keys(users), codes(users))
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(
            lambda task_status: trio_ssh.serve(
                greet, port, host="127.0.0.1", host_keys=[key], authenticate=policy, task_status=task_status
            )
        )
        name = listeners[0].socket.getsockname()
        print(f"listening on {name[0]} port {name[1]}; the host key is {key.public_key.fingerprint()}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=2222, help="0 is any free one")
    parser.add_argument("--users", type=Path, default=Path("users"))
    wanted = parser.parse_args()
    status = 0
    try:
        trio.run(serve, wanted.port, read_users(wanted.users))
    except* KeyboardInterrupt:
        print("two_factor_server: stopped", file=sys.stderr)
    except* (trio_ssh.SSHError, OSError, ValueError) as errors:
        print(f"two_factor_server: {errors.exceptions[0]}", file=sys.stderr)
        status = 255
    return status


if __name__ == "__main__":
    sys.exit(main())
