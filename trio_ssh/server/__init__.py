"""The server's half of the public API (L4)."""

from __future__ import annotations

from ..connection.paced_log import PacedLog
from .login_shell import login_shell
from .run_command import run_command
from .serve import Handler, Services, serve, serve_listeners, serve_stream
from .session import ServerSession

__all__ = ["Handler", "PacedLog", "ServerSession", "Services", "login_shell", "run_command", "serve", "serve_listeners", "serve_stream"]
