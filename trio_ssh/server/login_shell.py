"""`login_shell`: sessions as they are on any Unix machine, with the account's own shell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from .child import shell_program
from .serve_program import REFUSED, Setting, find_served_account, original_command, serve_program, tell
from .session import ServerSession

Handler = Callable[[ServerSession], Awaitable[int]]
"""What `login_shell` and `run_command` make: it serves one session and gives the exit status."""


def login_shell(
    *, subsystems: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None, account: str | None = None
) -> Handler:
    """A handler for `serve`: the login shell, commands and subsystems of the account that the session's user has on this machine.

    A session with a terminal gets a pseudo-terminal of the operating system. `subsystems` gives a command line for each name, which the
    account's shell executes. `environ` is set above everything else. `account` names the one account that serves every user; without
    it each user needs an account of the same name. A server that does not run as root can serve its own account only: another one is
    refused with exit status 1 and a line that says why.

    What the login's `Permissions` say is obeyed. Behind a forced command there is the variable SSH_ORIGINAL_COMMAND with what the client
    asked for (a subsystem by its name; nothing for a shell). Before a shell or a command ``~/.ssh/rc`` is executed if it is there, as
    sshd(8) says, unless `Permissions.user_rc` forbids it.

    When the client goes away the processes get SIGHUP, then SIGTERM and SIGKILL; those that have made themselves an OS session of their
    own live on.
    """
    known = dict(subsystems or {})

    async def serve_login(session: ServerSession) -> int:
        command = session.command
        if session.subsystem is not None:
            if session.subsystem not in known:
                await tell(session, f"there is no subsystem {session.subsystem!r} here")
                return REFUSED
            command = known[session.subsystem]
        served = await find_served_account(session, account)
        if served is None:
            return REFUSED
        return await serve_program(session, served, shell_program(served.shell, command), setting_of(session, environ or {}))

    return serve_login


def setting_of(session: ServerSession, environ: Mapping[str, str]) -> Setting:
    """As the permissions of its login have it."""
    is_forced = session.permissions.force_command is not None
    variables = {**original_command(session), **environ} if is_forced else dict(environ)
    return Setting(variables, user_rc=session.permissions.user_rc)
