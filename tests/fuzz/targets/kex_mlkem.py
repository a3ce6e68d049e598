"""The post-quantum hybrids: each message, both roles."""

from __future__ import annotations

from tests.fuzz.kex_target import kex_target

target, seeds = kex_target(("mlkem768x25519-sha256", "mlkem768nistp256-sha256", "mlkem1024nistp384-sha384"))
