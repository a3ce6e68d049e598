"""From settings to the values that `trio_ssh.connect` and `trio_ssh.serve` take."""

from __future__ import annotations

import math

import attrs

from .. import Algorithms, Limits
from . import ssh_config, sshd_config
from .settings import Settings
from .values import RekeyLimit


def client_algorithms(settings: Settings) -> Algorithms:
    """What a client's settings allow to be negotiated."""
    return Algorithms(
        kex=settings[ssh_config.KEX_ALGORITHMS],
        host_keys=settings[ssh_config.HOST_KEY_ALGORITHMS],
        ciphers=settings[ssh_config.CIPHERS],
        macs=settings[ssh_config.MACS],
    )


def client_limits(settings: Settings) -> Limits:
    """A client's limits: when keys are renewed, and when a silent server is given up."""
    limits = Limits(
        keepalive_seconds=settings[ssh_config.SERVER_ALIVE_INTERVAL],
        keepalive_misses=settings[ssh_config.SERVER_ALIVE_COUNT_MAX],
    )
    return _with_rekey(limits, settings[ssh_config.REKEY_LIMIT])


def server_algorithms(settings: Settings) -> Algorithms:
    """What a server's settings allow to be negotiated."""
    return Algorithms(
        kex=settings[sshd_config.KEX_ALGORITHMS],
        ciphers=settings[sshd_config.CIPHERS],
        macs=settings[sshd_config.MACS],
    )


def server_limits(settings: Settings) -> Limits:
    """A server's limits."""
    grace = settings[sshd_config.LOGIN_GRACE_TIME]
    limits = Limits(
        login_seconds=math.inf if grace is None else grace,
        auth_failures=settings[sshd_config.MAX_AUTH_TRIES],
        sessions=settings[sshd_config.MAX_SESSIONS],
    )
    return _with_rekey(limits, settings[sshd_config.REKEY_LIMIT])


def _with_rekey(limits: Limits, rekey: RekeyLimit) -> Limits:
    seconds = limits.rekey_seconds if rekey.seconds is None else rekey.seconds or math.inf
    return attrs.evolve(limits, rekey_bytes=rekey.bytes, rekey_seconds=seconds)
