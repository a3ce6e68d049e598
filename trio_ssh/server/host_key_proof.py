"""The server's side of OpenSSH's UpdateHostKeys (PROTOCOL §2.5): all host keys are told behind the login, and proven when asked."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import attrs

from ..connection.connection import Connection
from ..errors import DecodeError, SSHError
from ..keys.certificates import CertifiedKey
from ..keys.key import PrivateKey
from ..wire.codec import encode
from ..wire.connection import HOSTKEYS, HOSTKEYS_PROVE, GlobalRequest, HostKeyProofData, read_strings, write_strings

_log = logging.getLogger("trio_ssh.server.host_key_proof")


@attrs.define(eq=False)
class HostKeyProof:
    """For one connection that is logged in. A proof costs a signature, so that only `signatures_left` of them are given."""

    keys: dict[bytes, PrivateKey]
    """By the blob of their public halves."""
    session_id: bytes
    rsa_algorithm: str
    """By which RSA keys sign."""
    signatures_left: int

    @classmethod
    def of(cls, host_keys: Iterable[PrivateKey | CertifiedKey], connection: Connection) -> HostKeyProof:
        """For the keys whose algorithms the connection uses; of a key with a certificate the key alone counts."""
        plain = [key.key if isinstance(key, CertifiedKey) else key for key in host_keys]
        usable = [key for key in plain if set(key.public_key.signature_algorithms) & set(connection.algorithms.host_keys)]
        session_id = connection.parts.supervisor.state.session_id
        assert session_id is not None  # somebody is logged in
        return cls(
            keys={key.public_key.blob: key for key in usable},
            session_id=session_id,
            rsa_algorithm=rsa_algorithm(connection),
            signatures_left=connection.limits.hostkeys_update,
        )

    def announce(self, connection: Connection) -> None:
        """Tell the client all host keys, and answer it from here on. Synchronous: to be done in the same act as the login."""
        if connection.mux is not None and self.keys:
            connection.mux.on_global_request = self.answer
            connection.parts.transport.send_nowait(encode(GlobalRequest(HOSTKEYS, False, write_strings(self.keys))))

    def answer(self, request_name: str, request_fields: bytes) -> bytes | None:
        """A handler of global requests: a signature for each key that is named; None for any that is not ours, or too many."""
        if request_name != HOSTKEYS_PROVE:
            return None
        try:
            blobs = read_strings(request_fields, self.signatures_left)
            if not blobs or any(blob not in self.keys for blob in blobs):
                return None
            self.signatures_left -= len(blobs)
            return write_strings(self._proof(self.keys[blob]) for blob in blobs)
        except DecodeError:
            return None
        except SSHError as error:
            _log.error("a host key could not be proven: %s", error)
            return None

    def _proof(self, key: PrivateKey) -> bytes:
        algorithms = key.public_key.signature_algorithms
        algorithm = self.rsa_algorithm if self.rsa_algorithm in algorithms else algorithms[0]
        return key.sign(algorithm, encode(HostKeyProofData(HOSTKEYS_PROVE, self.session_id, key.public_key.blob)))


def rsa_algorithm(connection: Connection) -> str:
    """How RSA keys prove themselves: as in the key exchange if an RSA key was used there, else by the best algorithm."""
    negotiated = connection.negotiated.host_key.removesuffix("-cert-v01@openssh.com")
    return negotiated if negotiated.startswith("rsa-sha2-") else "rsa-sha2-512"
