"""The key exchanges on Montgomery curves: each message, both roles."""

from __future__ import annotations

from tests.fuzz.kex_target import kex_target

target, seeds = kex_target(("curve25519-sha256", "curve448-sha512"))
