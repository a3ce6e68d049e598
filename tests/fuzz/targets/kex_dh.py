"""Diffie-Hellman over a fixed group: each message, both roles."""

from __future__ import annotations

from tests.fuzz.kex_target import kex_target

target, seeds = kex_target(("diffie-hellman-group14-sha256",))
