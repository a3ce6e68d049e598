"""From a server's settings to the values that `trio_ssh.serve_listeners` takes."""

from __future__ import annotations

import math
import os

from .. import Algorithms, Limits, Moduli
from . import sshd_config
from .admission_values import source_penalties
from .connection import with_rekey
from .settings import Settings


def server_algorithms(settings: Settings) -> Algorithms:
    """What a server's settings allow to be negotiated. Reads the moduli file if group exchange is among it. Raises `KeyFileError`."""
    kex = settings[sshd_config.KEX_ALGORITHMS]
    return Algorithms(
        kex=kex,
        host_keys=settings[sshd_config.HOST_KEY_ALGORITHMS],
        ciphers=settings[sshd_config.CIPHERS],
        macs=settings[sshd_config.MACS],
        signatures=settings[sshd_config.PUBKEY_ACCEPTED_ALGORITHMS],
        compression=("none", "zlib@openssh.com") if settings[sshd_config.COMPRESSION] else ("none",),
        moduli=_moduli(settings[sshd_config.MODULI_FILE]) if any(map(_is_group_exchange, kex)) else Moduli.built_in(),
    )


def _is_group_exchange(name: str) -> bool:
    return name.startswith("diffie-hellman-group-exchange-")


def _moduli(path: str | None) -> Moduli:
    """As with sshd, the built-in groups will do where there is no file."""
    return Moduli.from_file(path) if path is not None and os.path.exists(path) else Moduli.built_in()


def server_limits(settings: Settings) -> Limits:
    """A server's limits."""
    grace = settings[sshd_config.LOGIN_GRACE_TIME]
    startups, block = settings[sshd_config.MAX_STARTUPS], settings[sshd_config.PER_SOURCE_NET_BLOCK_SIZE]
    alive = settings[sshd_config.CLIENT_ALIVE_INTERVAL], settings[sshd_config.CLIENT_ALIVE_COUNT_MAX]
    limits = Limits(
        login_seconds=math.inf if grace is None else grace,
        auth_failures=settings[sshd_config.MAX_AUTH_TRIES],
        sessions=settings[sshd_config.MAX_SESSIONS],
        keepalive_seconds=alive[0] if all(alive) else None,  # a client that is never given up need not be asked
        keepalive_misses=alive[1] or 1,
        unauthenticated_connections=startups.full,
        unauthenticated_drop_begin=startups.begin,
        unauthenticated_drop_percent=startups.percent,
        unauthenticated_per_source=settings[sshd_config.PER_SOURCE_MAX_STARTUPS],
        source_ipv4_bits=block.ipv4_bits,
        source_ipv6_bits=block.ipv6_bits,
        source_penalties=source_penalties(
            settings[sshd_config.PER_SOURCE_PENALTIES], settings[sshd_config.PER_SOURCE_PENALTY_EXEMPT_LIST]
        ),
    )
    return with_rekey(limits, settings[sshd_config.REKEY_LIMIT])
