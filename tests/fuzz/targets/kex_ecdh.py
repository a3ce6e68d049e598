"""The key exchanges on the NIST curves: each message, both roles."""

from __future__ import annotations

from tests.fuzz.kex_target import kex_target

target, seeds = kex_target(("ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521"))
