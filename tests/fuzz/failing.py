"""Algorithms that fail: real ones behind the registration functions, whose n-th call raises what it should not (ASR-13).

Which end fails is a matter of context: `failing` arms a plan for the tasks that are started inside it, and the other end's are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

import trio_ssh
from tests.crypto import own
from trio_ssh import algorithms

T = TypeVar("T")

ERRORS: tuple[type[Exception], ...] = (ValueError, MemoryError, InvalidTag, RuntimeError)


@attrs.define
class Plan:
    """Raise `error` at the `at`-th call of the function called `where`."""

    where: str
    at: int
    error: type[Exception]
    calls: int = 0
    fired: bool = False


ARMED: ContextVar[Plan | None] = ContextVar("plan", default=None)


@contextmanager
def armed(plan: Plan) -> Iterator[None]:
    token = ARMED.set(plan)
    try:
        yield
    finally:
        ARMED.reset(token)


def call(where: str, plan: Plan | None) -> None:
    """To be called first by every function that may fail."""
    if plan is not None and plan.where == where:
        plan.calls += 1
        if plan.calls == plan.at:
            plan.fired = True
            raise plan.error("a failure of the layer below")


def failing(where: str, function: Callable[..., T]) -> Callable[..., T]:
    def may_fail(*arguments: object) -> T:
        call(where, ARMED.get())
        return function(*arguments)

    return may_fail


@attrs.define(eq=False)
class FailingKey:
    """A packet key; the plan is that of the end that made it."""

    inner: algorithms.SealingKey | algorithms.OpeningKey
    plan: Plan | None = attrs.field(factory=ARMED.get)
    alignment: int = 16
    tag_bytes: int = 16
    length_is_aligned: bool = False
    head_bytes: int = 4
    hides_errors: bool = False

    def seal(self, view: memoryview, start: int, end: int, sequence_number: int) -> None:
        call("seal", self.plan)
        self.inner.seal(view, start, end, sequence_number)  # type: ignore[union-attr]  # the sealing half

    def packet_length(self, view: memoryview, start: int, sequence_number: int) -> int:
        call("packet_length", self.plan)
        return self.inner.packet_length(view, start, sequence_number)  # type: ignore[union-attr]  # the opening half

    def open(self, view: memoryview, start: int, packet_length: int, sequence_number: int) -> None:
        call("open", self.plan)
        self.inner.open(view, start, packet_length, sequence_number)  # type: ignore[union-attr]  # likewise


@attrs.define(eq=False)
class FailingZlib:
    """Both halves of a compression method."""

    inner: own.Bzip2 = attrs.field(factory=own.Bzip2)
    plan: Plan | None = attrs.field(factory=ARMED.get)

    def compress(self, payload: bytes | memoryview) -> bytes:
        call("compress", self.plan)
        return self.inner.compress(payload)

    def decompress(self, payload: bytes | memoryview, bytes_max: int) -> bytes:
        call("decompress", self.plan)
        return self.inner.decompress(payload, bytes_max)


def _start() -> algorithms.ClientShare:
    call("kex start", ARMED.get())
    share = own.start_x25519()
    return algorithms.ClientShare(share.public, failing("kex finish", share.finish))


_GCM_SIV = algorithms.counter_nonce_aead("inner@example.com", 32, AESGCMSIV, byte_ceiling=1 << 36)

KEX = algorithms.symmetric_kex("failing-kex@example.com", "sha256", _start)
CIPHER = algorithms.AEADRecipe(
    "failing-cipher@example.com",
    32,
    12,
    1 << 36,
    failing("make sealing key", lambda key, iv: FailingKey(_GCM_SIV.sealing_key(key, iv))),
    failing("make opening key", lambda key, iv: FailingKey(_GCM_SIV.opening_key(key, iv))),
)
COMPRESSION = algorithms.CompressionRecipe("failing-compression@example.com", True, FailingZlib, FailingZlib)
KEY_TYPE = attrs.evolve(
    own.ED448,
    name="failing-key@example.com",
    algorithms=("failing-key@example.com",),
    sign=failing("sign", own.ED448.sign),
    verify=failing("verify", own.ED448.verify),
    bits=failing("read key", own.ED448.bits),
)

PLACES = (
    "seal",
    "packet_length",
    "open",
    "make sealing key",
    "make opening key",
    "kex start",
    "kex finish",
    "sign",
    "verify",
    "read key",
    "compress",
    "decompress",
)


def register() -> None:
    algorithms.register_kex(KEX)
    algorithms.register_cipher(CIPHER)
    algorithms.register_compression(COMPRESSION)
    algorithms.register_key_type(KEY_TYPE)


def algorithms_that_fail() -> trio_ssh.Algorithms:
    key = KEY_TYPE.algorithms
    return trio_ssh.Algorithms(
        kex=(KEX.name,), ciphers=(CIPHER.name,), macs=(), compression=(COMPRESSION.name,), host_keys=key, signatures=key
    )


def new_key() -> trio_ssh.PrivateKey:
    return trio_ssh.PrivateKey.generate("failing-key@example.com")
