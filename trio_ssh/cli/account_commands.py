"""AuthorizedKeysCommand and AuthorizedPrincipalsCommand: programs that know who may log in (sshd_config(5)).

They are executed without a shell, as the user that was named for it, with nothing of our environment, and only if nobody but root could
have written them. What they print counts only if they end with status 0.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Mapping
from functools import partial
from typing import Any

import attrs
import trio

from .. import printable
from ..config import expand_tokens
from ..config.lines import split_words
from ..errors import ConfigError
from ..server.accounts import Account, find_account
from ..server.environment import PATH_OF_USERS
from .account_files import unsafe_program

OUTPUT_BYTES_MAX = 1 << 20

_log = logging.getLogger("trio_ssh.cli.account_commands")


@attrs.frozen
class AccountCommand:
    """One command as it is configured; `keyword` names it in messages, `user` is whom it is executed as."""

    keyword: str
    written: str
    user: str | None

    async def output(self, tokens: Mapping[str, str]) -> str | None:
        """What it prints; None where it does not count, which is logged. Of a command without arguments ``%u`` is the one argument."""
        try:
            return await self._output(tokens)
        except (ConfigError, OSError, ValueError, _Failed) as error:
            _log.error("%s %s: %s", self.keyword, printable(self.written, 200), error)
            return None

    async def _output(self, tokens: Mapping[str, str]) -> str:
        words = arguments(self.written, tokens, self.keyword)
        if self.user is None:
            raise _Failed(f"it is not executed: no {self.keyword}User is set")
        account = await find_account(self.user)
        if account is None:
            raise _Failed(f"there is no user {printable(self.user, 100)}")
        if not account.may_be_served:
            raise _Failed(f"only root could execute it as {printable(self.user, 100)}")
        if fault := await trio.to_thread.run_sync(unsafe_program, words[0]):
            raise _Failed(fault)
        output = await _execute(words, account)
        return output.decode("utf-8", "surrogateescape")


def arguments(written: str, tokens: Mapping[str, str], keyword: str) -> list[str]:
    """Cut as sshd cuts it, then each word expanded, so that no value becomes two words. Raises `ConfigError`, `ValueError`."""
    words = split_words(written, comments=False)
    if len(words) == 1:
        words = (*words, "%u")
    return [expand_tokens(word, tokens, keyword) for word in words]


class _Failed(Exception):
    """Nothing that it printed counts: the text says why."""


async def _execute(words: list[str], account: Account) -> bytes:
    options: dict[str, Any] = {}
    if not account.is_ours:
        options = {"user": account.uid, "group": account.gid, "extra_groups": list(account.groups)}
    environ = {"PATH": PATH_OF_USERS, "USER": account.name, "LOGNAME": account.name, "HOME": account.home}
    run = partial(
        trio.run_process,
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=environ,
        check=False,
        start_new_session=True,
        deliver_cancel=_kill,
        **options,
    )
    output = bytearray()
    fault, status = "", None
    try:
        async with trio.open_nursery() as nursery:
            process: trio.Process = await nursery.start(run)
            assert process.stdout is not None
            async with process.stdout:
                async for chunk in process.stdout:
                    output += chunk
                    if len(output) > OUTPUT_BYTES_MAX:
                        nursery.cancel_scope.cancel()
        status = process.returncode
    except* OSError as group:  # the nursery's; what is raised in here would become a group again
        fault = f"it could not be executed: {group.exceptions[0]}"
    if fault:
        raise _Failed(fault)
    if len(output) > OUTPUT_BYTES_MAX:
        raise _Failed(f"it printed more than {OUTPUT_BYTES_MAX} bytes")
    if status != 0:
        raise _Failed(f"it ended with status {status}")
    return bytes(output)


async def _kill(process: trio.Process) -> None:
    process.kill()


