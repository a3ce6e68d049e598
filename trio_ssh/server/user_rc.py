"""``~/.ssh/rc``: what an account wants executed before each of its shells and commands (sshd(8), SSHRC)."""

from __future__ import annotations

import os
import shlex

import trio

from .accounts import Account
from .child import First


async def user_rc(account: Account) -> First | None:
    """None where there is none. In a thread: the home may be on another machine.

    Where we may not look, as root on a file system that knows no root, the account looks itself.
    """
    path = os.path.join(account.home, ".ssh", "rc")
    if not await trio.to_thread.run_sync(_may_be_there, path, abandon_on_cancel=True):
        return None
    # By the account's own shell, as sshd does: a shell that lets nobody in, or executes some commands only, lets no file pass either.
    return First(account.shell, f"/bin/sh {shlex.quote(path)}", path)


def _may_be_there(path: str) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
