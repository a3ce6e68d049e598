"""Private keys in PEM: PKCS#1, SEC1 and PKCS#8 (RFC 7468), in clear or encrypted. `cryptography` reads them; here they are bounded first.

The file chooses how costly its passphrase derivation is, so the numbers that say so are looked up in the DER before any work is done.
"""

from __future__ import annotations

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ..errors import DecodeError, printable
from .blobs import encode_blob
from .files import Source
from .private_rsa import check_rsa_fit
from .signature import PrivateMaths

LABELS = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")
_ENCRYPTED_LABEL = "ENCRYPTED PRIVATE KEY"

_DER_BYTES_MAX = 32 * 1024  # an RSA key of 16384 bits takes 10 KiB
_ITERATIONS_MAX = 5_000_000
_SCRYPT_COST_MAX = 1 << 21  # N * r * p: 256 MiB
_SCRYPT_OID = bytes.fromhex("060b2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11 (RFC 7914 §7)
_DEK_INFO = re.compile(rb"^DEK-Info: ?([^,\r\n]{1,64}),", re.MULTILINE)
_CIPHERS = (b"AES-128-CBC", b"AES-256-CBC", b"DES-EDE3-CBC")  # that `cryptography` knows here
_DER_DEPTH_MAX = 8
_ITEMS_MAX = 64

_SUPPORTED = "supported are ed25519, ed448, ecdsa on nistp256, nistp384 or nistp521, and rsa of 2048 to 16384 bits"


def read_pem_private(label: str, block: bytes, body: bytes | None, passphrase: bytes | None, source: Source) -> PrivateMaths:
    """The key in one PEM `block` (from its BEGIN line to its END line); `body` is its DER, None where header lines stand before it.

    Raises `KeyFileError` and its kin.
    """
    if len(block) > _DER_BYTES_MAX * 3 // 2:
        raise source.error(f"the private key is too large to be one that can be used; {_SUPPORTED}")
    encrypted = label == _ENCRYPTED_LABEL or b"ENCRYPTED" in block.split(b"-----")[2]
    if label == _ENCRYPTED_LABEL:
        _check_cost(body or b"", source)
    elif encrypted:
        _check_cipher(block, source)
    if encrypted and passphrase is None:
        raise source.passphrase_required()
    if encrypted and not passphrase:
        raise source.wrong_passphrase()
    return _check_key(_load(block, passphrase if encrypted else None, source), source)


def _load(block: bytes, passphrase: bytes | None, source: Source) -> object:
    try:
        return load_pem_private_key(block, passphrase, unsafe_skip_rsa_key_validation=True)
    except UnsupportedAlgorithm:
        raise source.error(f"its kind of key or of encryption is not supported; {_SUPPORTED}") from None
    except (ValueError, TypeError):
        if passphrase is not None:
            raise source.wrong_passphrase() from None
        raise source.error("the private key is damaged or of a kind that is not supported; " + _SUPPORTED) from None


def _check_key(key: object, source: Source) -> PrivateMaths:
    if not isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey, ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise source.error(f"its type of key is not supported; {_SUPPORTED}")
    try:
        if isinstance(key, rsa.RSAPrivateKey):
            numbers = key.private_numbers()
            public = numbers.public_numbers
            check_rsa_fit(n=public.n, e=public.e, d=numbers.d, p=numbers.p, q=numbers.q)
        encode_blob(key.public_key())
    except DecodeError as error:
        raise source.error(f"the private key cannot be used: {error}; {_SUPPORTED}") from None
    return key


def _check_cipher(block: bytes, source: Source) -> None:
    """Of the encryption that header lines speak of (RFC 1421 §4.6.1.3): a cipher that is not read is no wrong passphrase."""
    found = _DEK_INFO.search(block)
    cipher = found.group(1) if found else b"no cipher"
    if cipher not in _CIPHERS:
        command = f"openssl pkey -in {source.argument} -out NEW -aes256"
        raise source.error(f"it is encrypted by {printable(cipher, 64)}, which is not supported; re-encrypt it with: {command}")


def _check_cost(der: bytes, source: Source) -> None:
    try:
        algorithm = _algorithm(der)
        integers = _integers(algorithm, 0)
        if not integers:
            raise DecodeError("no iteration count is given")
    except DecodeError as error:
        raise source.error(f"the private key is damaged: {error}") from None
    if _SCRYPT_OID in algorithm:
        too_much = len(integers) < 3 or integers[0] * integers[1] * integers[2] > _SCRYPT_COST_MAX
    else:
        too_much = integers[0] > _ITERATIONS_MAX
    if too_much:
        raise source.error(
            "its passphrase derivation asks for more work than is accepted; "
            f"if you trust the file, re-encrypt it with: openssl pkcs8 -topk8 -in {source.argument} -out NEW"
        )


def _algorithm(der: bytes) -> bytes:
    """The content of the AlgorithmIdentifier at the head of an EncryptedPrivateKeyInfo (RFC 5958 §3)."""
    for _ in range(2):
        tag, start, end = _item(der, 0)
        if tag != 0x30:
            raise DecodeError("it is not an encrypted PKCS#8 structure")
        der = der[start:end]
    return der


def _integers(der: bytes, depth: int) -> list[int]:
    """All INTEGERs below, in order."""
    if depth > _DER_DEPTH_MAX:
        raise DecodeError("its structure is nested too deep")
    found: list[int] = []
    offset = 0
    for _ in range(_ITEMS_MAX):
        if offset == len(der):
            return found
        tag, start, offset = _item(der, offset)
        if tag == 0x02:
            found.append(int.from_bytes(der[start:offset], "big"))
        elif tag == 0x30:
            found += _integers(der[start:offset], depth + 1)
    raise DecodeError("its structure has too many parts")


def _item(der: bytes, offset: int) -> tuple[int, int, int]:
    """Tag, start and end of the content of the DER item at `offset`."""
    if offset + 2 > len(der):
        raise DecodeError("its structure is cut off")
    tag, length, start = der[offset], der[offset + 1], offset + 2
    if length >= 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or start + count > len(der):
            raise DecodeError("a length in its structure is malformed")
        length = int.from_bytes(der[start : start + count], "big")
        start += count
    if start + length > len(der):
        raise DecodeError("its structure is cut off")
    return tag, start, start + length
