"""Keys, signatures, and the files they live in (L1): no I/O but local files, no Trio."""

from __future__ import annotations

from .authorized_keys import AuthorizedKey, ParsedAuthorizedKeys, parse_authorized_keys, read_authorized_keys
from .blobs import KEY_TYPES
from .files import PassphraseRequired, WrongPassphrase
from .fingerprint import md5_fingerprint, randomart, randomart_title, sha256_fingerprint
from .key import PrivateKey, PublicKey
from .known_hosts import Changed, Known, KnownHostEntry, KnownHosts, LookupResult, Marker, Revoked, Unknown
from .lines import SkippedLine
from .signature import (
    DEFAULT_HOST_KEY_ALGORITHMS,
    KEY_TYPE_OF_ALGORITHM,
    SIGNATURE_ALGORITHMS,
    prefer_key_types,
    supported_signature_algorithms,
)

__all__ = [
    "DEFAULT_HOST_KEY_ALGORITHMS",
    "KEY_TYPES",
    "KEY_TYPE_OF_ALGORITHM",
    "SIGNATURE_ALGORITHMS",
    "AuthorizedKey",
    "Changed",
    "Known",
    "KnownHostEntry",
    "KnownHosts",
    "LookupResult",
    "Marker",
    "ParsedAuthorizedKeys",
    "PassphraseRequired",
    "PrivateKey",
    "PublicKey",
    "Revoked",
    "SkippedLine",
    "Unknown",
    "WrongPassphrase",
    "md5_fingerprint",
    "parse_authorized_keys",
    "prefer_key_types",
    "randomart",
    "randomart_title",
    "read_authorized_keys",
    "sha256_fingerprint",
    "supported_signature_algorithms",
]
