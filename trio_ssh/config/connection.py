"""From settings to the values that `trio_ssh.connect` and `trio_ssh.serve` take."""

from __future__ import annotations

import math
import os

import attrs

from .. import Algorithms, Limits, Moduli
from . import ssh_config, sshd_config
from .admission_values import source_penalties
from .settings import Settings
from .values import RekeyLimit


def client_algorithms(settings: Settings) -> Algorithms:
    """What a client's settings allow to be negotiated."""
    return Algorithms(
        kex=settings[ssh_config.KEX_ALGORITHMS],
        host_keys=settings[ssh_config.HOST_KEY_ALGORITHMS],
        ciphers=settings[ssh_config.CIPHERS],
        macs=settings[ssh_config.MACS],
        signatures=settings[ssh_config.PUBKEY_ACCEPTED_ALGORITHMS],
        compression=("zlib@openssh.com", "none") if settings[ssh_config.COMPRESSION] else ("none", "zlib@openssh.com"),
    )


def client_limits(settings: Settings) -> Limits:
    """A client's limits: when keys are renewed, and when a silent server is given up."""
    limits = Limits(
        keepalive_seconds=settings[ssh_config.SERVER_ALIVE_INTERVAL],
        keepalive_misses=settings[ssh_config.SERVER_ALIVE_COUNT_MAX],
    )
    return _with_rekey(limits, settings[ssh_config.REKEY_LIMIT])


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
    limits = Limits(
        login_seconds=math.inf if grace is None else grace,
        auth_failures=settings[sshd_config.MAX_AUTH_TRIES],
        sessions=settings[sshd_config.MAX_SESSIONS],
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
    return _with_rekey(limits, settings[sshd_config.REKEY_LIMIT])


def _with_rekey(limits: Limits, rekey: RekeyLimit) -> Limits:
    seconds = limits.rekey_seconds if rekey.seconds is None else rekey.seconds or math.inf
    return attrs.evolve(limits, rekey_bytes=rekey.bytes, rekey_seconds=seconds)
