"""Where the agent is, and how to get there: ``SSH_AUTH_SOCK``, and IdentityAgent as ssh_config(5) has it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import trio

from ..errors import AgentUnavailable, LocalProtocolError, printable
from .client import AgentClient
from .limits import AgentLimits

VARIABLE = "SSH_AUTH_SOCK"
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def agent_path(setting: str | None = None, environ: Mapping[str, str] | None = None) -> str | None:
    """The path of the agent's socket, or None if no agent is to be used.

    `setting` is what IdentityAgent of ssh_config has: a path (``~/`` is the home), ``none``, ``SSH_AUTH_SOCK``, or ``$NAME`` for another
    variable of the environment. None is the same as ``SSH_AUTH_SOCK``. Raises `LocalProtocolError` for ``$`` without a proper name.
    """
    values = os.environ if environ is None else environ
    if setting is None or setting == VARIABLE:
        return values.get(VARIABLE) or None
    if setting == "none" or not setting:
        return None
    if not setting.startswith("$"):
        return os.path.expanduser(setting)
    name = setting[1:].removeprefix("{").removesuffix("}") if setting.startswith("${") and setting.endswith("}") else setting[1:]
    if not _VARIABLE_NAME.fullmatch(name):
        raise LocalProtocolError(f"{printable(setting, 100)!r} names no variable of the environment: write $NAME, or the path of a socket")
    return values.get(name) or None


async def open_agent_stream(setting: str | None = None) -> trio.SocketStream:
    """A connection to the socket that `agent_path` finds. Raises `AgentUnavailable`."""
    path = agent_path(setting)
    if path is None:
        raise AgentUnavailable(_why_none(setting))
    try:
        return await trio.open_unix_socket(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise AgentUnavailable(f"cannot reach the agent at {printable(path, 200)}: {why}; is it still running?") from error


def _why_none(setting: str | None) -> str:
    if setting in ("none", ""):
        return "no agent is to be used: the setting says none"
    return f"there is no agent: {printable((setting or VARIABLE).lstrip('$'), 100)} is not set; start one with: eval $(ssh-agent)"


async def open_agent(setting: str | None = None, limits: AgentLimits | None = None) -> AgentClient:
    """``async with await open_agent() as agent``: a connection to the agent of ``SSH_AUTH_SOCK``, or to another one.

    `setting` is a path or one of the other forms of IdentityAgent, see `agent_path`. Raises `AgentUnavailable`.
    """
    return AgentClient(await open_agent_stream(setting), limits or AgentLimits())
