"""What a login may do: the limits that an authorized_keys line, a certificate or a server's configuration lays on it.

Limits only ever add up. A login that took several factors has the permissions of all of them together (`narrowed_by`), whichever came
first, so that no further factor can widen what an earlier one allowed (hardening B06).
"""

from __future__ import annotations

from typing import TypeVar

import attrs

from ..errors import SSHError
from ..wire.patterns import matches_pattern

T = TypeVar("T")


class PermissionConflict(SSHError):
    """Two limits cannot both hold, such as two different forced commands: nobody is let in."""


@attrs.frozen(kw_only=True)
class Permissions:
    """What a login may do. The default allows everything; `RESTRICTED` is ``restrict`` of authorized_keys."""

    force_command: str | None = None
    """Executed whatever the client asks for; None executes what it asks for."""
    environ: tuple[tuple[str, str], ...] = ()
    """Variables for its sessions (``environment=``), later ones above earlier ones of the same name."""
    terminal: bool = True
    port_forwarding: bool = True
    agent_forwarding: bool = True
    x11_forwarding: bool = True
    user_rc: bool = True
    """``~/.ssh/rc`` is executed before a session."""
    permit_open: tuple[str, ...] | None = None
    """``HOST:PORT`` that may be connected to; ``*`` is any port, or any host. None is anywhere, an empty tuple nowhere."""
    permit_listen: tuple[str, ...] | None = None
    """``[HOST:]PORT`` that may be listened at, likewise; the host may be a pattern."""
    tunnel: int | None = None
    """The tun device that must be used (``tunnel="n"``)."""
    touch_required: bool = True
    """A security key's signature must show that somebody touched the key."""
    verify_required: bool = False
    """And that it knew who did, by a PIN or a fingerprint."""

    def may_open(self, host: str, port: int) -> bool:
        """May a connection to this host be opened for the client (``direct-tcpip``)? The name must be just as it is permitted."""
        if self.permit_open is None or not self.port_forwarding:
            return self.port_forwarding
        wanted = (_host_and_port(item) for item in self.permit_open)
        return any(permitted in ("*", host) and _has_port(ports, port) for permitted, ports in wanted)

    def may_listen(self, host: str, port: int) -> bool:
        """May somebody be listened for at this host (``tcpip-forward``)? Capitals count as small letters there; "" is all addresses."""
        if self.permit_listen is None or not self.port_forwarding:
            return self.port_forwarding
        wanted = (_host_and_port(item) for item in self.permit_listen)
        return any(matches_pattern(host.lower(), permitted) and _has_port(ports, port) for permitted, ports in wanted)

    def narrowed_by(self, other: Permissions) -> Permissions:
        """What both allow. Raises `PermissionConflict` where they contradict each other."""
        return Permissions(
            force_command=_same("forced command", self.force_command, other.force_command),
            environ=self.environ + other.environ,
            terminal=self.terminal and other.terminal,
            port_forwarding=self.port_forwarding and other.port_forwarding,
            agent_forwarding=self.agent_forwarding and other.agent_forwarding,
            x11_forwarding=self.x11_forwarding and other.x11_forwarding,
            user_rc=self.user_rc and other.user_rc,
            permit_open=_common(self.permit_open, other.permit_open),
            permit_listen=_common(self.permit_listen, other.permit_listen),
            tunnel=_same("tunnel device", self.tunnel, other.tunnel),
            touch_required=self.touch_required or other.touch_required,
            verify_required=self.verify_required or other.verify_required,
        )

    def under(self, rules: Permissions) -> Permissions:
        """The same under a server's `rules`: they narrow it, and their forced command stands above its own."""
        mine = self if rules.force_command is None else attrs.evolve(self, force_command=None)
        return mine.narrowed_by(rules)


RESTRICTED = Permissions(terminal=False, port_forwarding=False, agent_forwarding=False, x11_forwarding=False, user_rc=False)
"""Nothing that is not given back explicitly, as ``restrict`` says."""


def _host_and_port(item: str) -> tuple[str, str]:
    """The host without the brackets of an IPv6 address; any host, where there is only a port."""
    host, colon, port = item.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    return (bare if colon else "*"), port


def _has_port(ports: str, port: int) -> bool:
    return ports in ("*", str(port))


def _same(what: str, ours: T | None, theirs: T | None) -> T | None:
    if ours is not None and theirs is not None and ours != theirs:
        raise PermissionConflict(f"the factors of this login demand different things: {what} {ours!r} and {theirs!r}")
    return theirs if ours is None else ours


def _common(ours: tuple[str, ...] | None, theirs: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Items are compared as they are written: what only a wildcard of one side covers is left out, which is the safe side."""
    if ours is None or theirs is None:
        return theirs if ours is None else ours
    return tuple(item for item in ours if item in theirs)
