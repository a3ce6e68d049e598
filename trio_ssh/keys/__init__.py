"""Keys, signatures, and the files they live in (L1): no I/O but local files, no Trio."""

from __future__ import annotations

from .authorized_keys import (
    AuthorizedKey,
    Claim,
    ParsedAuthorizedKeys,
    Refusal,
    narrowed_permissions,
    parse_authorized_keys,
    permissions_for,
    read_authorities,
    read_authorized_keys,
)
from .blobs import KEY_TYPES
from .certificate_signing import CertificateAuthority, CertificateRequest, sign_certificate
from .certificate_text import describe_certificate, parse_certificate_options
from .certificate_times import parse_absolute_time, parse_validity
from .certificates import CERTIFICATE_ALGORITHMS, CERTIFICATE_KEY_TYPES, FOREVER, Certificate, CertificateKind, CertifiedKey
from .export import PrivateKeyFormat
from .files import PassphraseRequired, WrongPassphrase
from .fingerprint import fingerprint, key_family, md5_fingerprint, randomart, randomart_title, sha256_fingerprint
from .key import PrivateKey, PublicKey
from .key_files import change_comment, change_passphrase, public_path, write_key_pair
from .key_options import KeyOptions, parse_key_options
from .known_hosts import Changed, Known, KnownHostEntry, KnownHosts, LookupResult, Marker, Revoked, Unknown
from .lines import SkippedLine
from .principals import (
    AuthorizedPrincipal,
    ParsedPrincipals,
    parse_authorized_principals,
    permissions_by_principals,
    read_authorized_principals,
)
from .public_files import CommentedPublicKey, PublicKeyFormat
from .security_keys import SecurityKeyNeeded, SecurityKeyUse, security_key_use
from .signature import (
    DEFAULT_HOST_KEY_ALGORITHMS,
    DEFAULT_USER_KEY_ALGORITHMS,
    KEY_TYPE_OF_ALGORITHM,
    SIGNATURE_ALGORITHMS,
    prefer_key_types,
    supported_signature_algorithms,
)

__all__ = [
    "CERTIFICATE_ALGORITHMS",
    "CERTIFICATE_KEY_TYPES",
    "DEFAULT_HOST_KEY_ALGORITHMS",
    "DEFAULT_USER_KEY_ALGORITHMS",
    "FOREVER",
    "KEY_TYPES",
    "KEY_TYPE_OF_ALGORITHM",
    "SIGNATURE_ALGORITHMS",
    "AuthorizedKey",
    "AuthorizedPrincipal",
    "Certificate",
    "CertificateAuthority",
    "CertificateKind",
    "CertificateRequest",
    "CertifiedKey",
    "Changed",
    "Claim",
    "CommentedPublicKey",
    "KeyOptions",
    "Known",
    "KnownHostEntry",
    "KnownHosts",
    "LookupResult",
    "Marker",
    "ParsedAuthorizedKeys",
    "ParsedPrincipals",
    "PassphraseRequired",
    "PrivateKey",
    "PrivateKeyFormat",
    "PublicKey",
    "PublicKeyFormat",
    "Refusal",
    "Revoked",
    "SecurityKeyNeeded",
    "SecurityKeyUse",
    "SkippedLine",
    "Unknown",
    "WrongPassphrase",
    "change_comment",
    "change_passphrase",
    "describe_certificate",
    "fingerprint",
    "key_family",
    "md5_fingerprint",
    "narrowed_permissions",
    "parse_absolute_time",
    "parse_authorized_keys",
    "parse_authorized_principals",
    "parse_certificate_options",
    "parse_key_options",
    "parse_validity",
    "permissions_by_principals",
    "permissions_for",
    "prefer_key_types",
    "public_path",
    "randomart",
    "randomart_title",
    "read_authorities",
    "read_authorized_keys",
    "read_authorized_principals",
    "security_key_use",
    "sha256_fingerprint",
    "sign_certificate",
    "supported_signature_algorithms",
    "write_key_pair",
]
