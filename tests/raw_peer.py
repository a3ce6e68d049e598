"""`trio_ssh.testing.RawPeer`, with the policy of a server that takes its password."""

from __future__ import annotations

import trio_ssh
from trio_ssh.testing import PASSWORD, RawPeer, password_request, raw_client, raw_server


async def check_password(username: str, password: str) -> bool:
    return password == PASSWORD


PASSWORDS = trio_ssh.Passwords(check_password)

__all__ = ["PASSWORD", "PASSWORDS", "RawPeer", "check_password", "password_request", "raw_client", "raw_server"]
