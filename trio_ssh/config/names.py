"""Names of hosts and users from a command line: nothing that a shell, a log or another program could take for more (hardening E11)."""

from __future__ import annotations

from ..errors import printable

NAME_MAX = 1024

# The same characters as OpenSSH refuses since 9.6. A user's name may hold $ and blanks: directories of large networks are full of such.
_NOT_IN_HOSTS = frozenset("'`\"$\\;&<>|(){}")
_NOT_IN_USERS = frozenset("'`\";&<>|(){}")


def check_host_name(name: str) -> None:
    """Raises `ValueError` for what is no host's name or address."""
    if not _may_be_name(name) or any(c in _NOT_IN_HOSTS or c.isspace() for c in name):
        raise ValueError(f"'{printable(name, 100)}' cannot be the name of a host")


def check_user_name(name: str) -> None:
    """Raises `ValueError` for what could be an option, or be read as more than a name."""
    if not _may_be_name(name) or any(c in _NOT_IN_USERS for c in name) or " -" in name or name.endswith("\\"):
        raise ValueError(f"'{printable(name, 100)}' cannot be the name of a user")


def _may_be_name(name: str) -> bool:
    return bool(name) and len(name) <= NAME_MAX and not name.startswith("-") and name.isprintable()
