"""Where a test listens: the plaintext of both directions of the connections that begin in a context.

Asked once a connection. Without a tap, which is always so outside tests, sealer and opener are used as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from ..protocol.opener import Opener
from ..protocol.role import Role
from ..protocol.sealer import Sealer

Tap = Callable[[Role, Sealer, Opener], tuple[Sealer, Opener]]
"""Gives what the connection is to use instead: the same, or something that looks like them."""

TAP: ContextVar[Tap | None] = ContextVar("trio_ssh tap", default=None)
