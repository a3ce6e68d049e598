"""`run_command`: one fixed command for every session, whatever its client asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from .accounts import Account
from .child import Program, shell_program
from .login_shell import Handler
from .serve_program import REFUSED, Setting, find_served_account, original_command, serve_program
from .session import ServerSession

Command = str | Sequence[str]


def run_command(
    command: Command | Callable[[ServerSession], Command],
    *,
    environ: Mapping[str, str] | None = None,
    account: str | None = None,
    takes_signals: bool = False,
) -> Handler:
    """A handler for `serve`: every session runs this command, at a terminal if the client asked for one.

    A text is executed by the account's shell; a sequence is executed as it is, its first word a path or a name in PATH; a function
    chooses one of both for each session. A command that a key forces is not executed: this one stands above it. What the client asked for
    is in the variable SSH_ORIGINAL_COMMAND (a subsystem by its name; nothing for a shell). `environ` and `account` are as for
    `login_shell`. Signals that the client asks for (RFC 4254 §6.9) do not reach the command unless `takes_signals`; keys like Ctrl-C at a
    terminal do.
    """

    async def serve_command(session: ServerSession) -> int:
        served = await find_served_account(session, account)
        if served is None:
            return REFUSED
        chosen = command(session) if callable(command) else command
        setting = Setting({**original_command(session), **(environ or {})}, takes_signals)
        return await serve_program(session, served, _program(chosen, served), setting)

    return serve_command


def _program(command: Command, account: Account) -> Program:
    if isinstance(command, str):
        return shell_program(account.shell, command)
    return Program(command[0], (os.path.basename(command[0]), *command[1:]))
