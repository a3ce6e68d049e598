"""The client's side of OpenSSH's UpdateHostKeys (PROTOCOL §2.5): learning the other keys of a server that is known already.

A server tells all its host keys behind the login. Those that the policy wants to add are believed only when the server has signed for
them, in this very session. All of it happens beside the user's work: nobody waits for it, nothing of it ends the connection, and what a
server says wrongly is only written to the log. One announcement is heard on a connection, and one of at most `Limits.hostkeys_update`
keys (hardening C18).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import attrs
import trio

from ..connection.connection import Connection
from ..connection.containment import containing
from ..connection.mux import Mux
from ..errors import DecodeError, SSHError
from ..keys.key import PublicKey
from ..protocol.limits import Limits
from ..wire.codec import encode
from ..wire.connection import HOSTKEYS, HOSTKEYS_PROVE, HostKeyProofData, read_strings, write_strings
from ..wire.primitives import read_name
from .host_keys import HostKeyUpdatePolicy

_log = logging.getLogger("trio_ssh.known_hosts")


@attrs.define(eq=False)
class HostKeyUpdate:
    """For one connection: `attach` it to the mux before the reader has that, and `run` it beside the user's work."""

    host: str
    port: int
    policy: HostKeyUpdatePolicy
    host_key: PublicKey
    """The key by which the server was believed."""
    limits: Limits
    _announced: bytes | None = None
    _heard: trio.Event = attrs.field(factory=trio.Event)

    def attach(self, mux: Mux) -> None:
        """Hear what the server announces."""
        mux.on_global_request = self.on_global_request

    def on_global_request(self, request_name: str, request_fields: bytes) -> bytes | None:
        """Keeps the first announcement, whatever it says; all else is refused."""
        if request_name != HOSTKEYS:
            return None
        if self._announced is None:
            self._announced = request_fields
            self._heard.set()
        return b""

    async def run(self, connection: Connection) -> None:
        """Until the announcement is dealt with, or the connection has ended. Nothing but a cancellation comes out."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run, connection, nursery.cancel_scope)
            await connection.ended.wait()
            nursery.cancel_scope.cancel()

    async def _run(self, connection: Connection, scope: trio.CancelScope) -> None:
        with containing(self._report):
            await self._heard.wait()
            await self._update(connection)
        scope.cancel()

    def _report(self, error: BaseException) -> None:
        if isinstance(error, SSHError):
            _log.info("the host keys of %s were not updated: %s", self.host, error)
        else:
            _log.error("the host keys of %s were not updated", self.host, exc_info=error)

    async def _update(self, connection: Connection) -> None:
        assert connection.mux is not None
        assert self._announced is not None
        announced = announced_keys(self._announced, self.limits.hostkeys_update)
        changes = await self.policy.plan_update(self.host, self.port, self.host_key, announced)
        if changes is None:
            return
        # Keys that this connection may not use are no use to the next one either; but they are there, and no reason to remove a line.
        usable = [key for key in changes.added if set(key.signature_algorithms) & set(connection.algorithms.host_keys)]
        changes = attrs.evolve(changes, added=await self._proven(usable, connection))
        if changes.added or changes.removed:
            await self.policy.update(changes)

    async def _proven(self, keys: Sequence[PublicKey], connection: Connection) -> tuple[PublicKey, ...]:
        """Those of the keys that the server has signed for. Raises `RequestDenied`, `DecodeError`, `ConnectionLost`."""
        if not keys:
            return ()
        assert connection.mux is not None
        session_id = connection.parts.supervisor.state.session_id
        assert session_id is not None
        answer = await connection.mux.request(HOSTKEYS_PROVE, write_strings(key.blob for key in keys))
        proven = proven_keys(answer, keys, session_id, accepted_algorithms(connection))
        for key in keys:
            if key not in proven:
                _log.info("%s has not proven that it has the host key %s, which is not saved", self.host, key.fingerprint())
        return proven


def announced_keys(request_fields: bytes, keys_max: int) -> tuple[PublicKey, ...]:
    """The keys of an announcement; those of types that we do not know are left out, and so are certificates.

    Raises `DecodeError` if the announcement is malformed, names more than `keys_max` keys, or one of them twice.
    """
    blobs = read_strings(request_fields, keys_max)
    if len(set(blobs)) != len(blobs):
        raise DecodeError("the server announces a host key twice")
    return tuple(key for blob in blobs if (key := _key_or_none(blob)) is not None)


def _key_or_none(blob: bytes) -> PublicKey | None:
    try:
        return PublicKey.from_blob(blob)
    except DecodeError:
        return None


def accepted_algorithms(connection: Connection) -> frozenset[str]:
    """By which a proof may be signed: those of the connection; if an RSA key was used in the key exchange, of RSA's only the one there."""
    negotiated = connection.negotiated.host_key
    others = frozenset(name for name in connection.algorithms.host_keys if not name.startswith("rsa-"))
    return others | {negotiated} if negotiated.startswith("rsa-") else frozenset(connection.algorithms.host_keys)


def proven_keys(answer: bytes, keys: Sequence[PublicKey], session_id: bytes, algorithms: frozenset[str]) -> tuple[PublicKey, ...]:
    """Those of `keys` for which `answer` has a good signature. Raises `DecodeError` unless there is one signature for each, good or bad."""
    signatures = read_strings(answer, len(keys))
    if len(signatures) != len(keys):
        raise DecodeError(f"the server was asked to prove {len(keys)} host keys and has signed for {len(signatures)}")
    return tuple(key for key, signature in zip(keys, signatures, strict=True) if is_proof(signature, key, session_id, algorithms))


def is_proof(signature: bytes, key: PublicKey, session_id: bytes, algorithms: frozenset[str]) -> bool:
    """Has the private half of `key` signed for this session, by one of `algorithms`?"""
    try:
        algorithm, _ = read_name(signature, 0)
    except DecodeError:
        return False
    return algorithm in algorithms and key.verify(algorithm, signature, encode(HostKeyProofData(HOSTKEYS_PROVE, session_id, key.blob)))
