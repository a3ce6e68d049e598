"""Which end of the connection we are."""

from __future__ import annotations

from enum import Enum


class Role(Enum):
    """An end of a connection."""

    CLIENT = "client"
    SERVER = "server"

    @property
    def peer(self) -> Role:
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT
