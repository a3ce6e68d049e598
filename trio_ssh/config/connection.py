"""From a client's settings to the values that `trio_ssh.connect` takes."""

from __future__ import annotations

import math

import attrs

from .. import Algorithms, Limits
from . import ssh_config
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
    return with_rekey(limits, settings[ssh_config.REKEY_LIMIT])


def with_rekey(limits: Limits, rekey: RekeyLimit) -> Limits:
    """The limits, and when keys are renewed."""
    seconds = limits.rekey_seconds if rekey.seconds is None else rekey.seconds or math.inf
    return attrs.evolve(limits, rekey_bytes=rekey.bytes, rekey_seconds=seconds)
