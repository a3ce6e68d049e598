"""Fingerprints of public keys, in the forms that ssh-keygen shows: SHA256, MD5, and the picture."""

from __future__ import annotations

import base64
import hashlib

_WIDTH, _HEIGHT = 17, 9
_SHADES = " .o+=*BOX@%&#/^"
_START, _END = "S", "E"


_DIGESTS = ("MD5", "SHA1", "SHA256", "SHA384", "SHA512")


def fingerprint(blob: bytes, digest_name: str = "SHA256") -> str:
    """The digest of a public key as ``ssh-keygen -l -E`` shows it: MD5, SHA1, SHA256, SHA384 or SHA512 (`ValueError` for another)."""
    name, digest = _digest(blob, digest_name)
    if name == "MD5":
        return f"MD5:{digest.hex(':')}"
    return f"{name}:{base64.b64encode(digest).decode('ascii').rstrip('=')}"


def sha256_fingerprint(blob: bytes) -> str:
    """``SHA256:`` and the base64 of the digest without its padding."""
    return fingerprint(blob)


def md5_fingerprint(blob: bytes) -> str:
    """``MD5:`` and the digest in hexadecimal, a colon between bytes. For comparing with old notes only."""
    return fingerprint(blob, "MD5")


def _digest(blob: bytes, digest_name: str) -> tuple[str, bytes]:
    name = digest_name.upper()
    if name not in _DIGESTS:
        raise ValueError(f"there is no fingerprint by {digest_name!r}: use {', '.join(_DIGESTS)}")
    return name, hashlib.new(name.lower(), blob, usedforsecurity=False).digest()


def randomart(blob: bytes, title: str, digest_name: str = "SHA256") -> str:
    """The picture of ``ssh-keygen -lv``: eleven lines. `title` stands in its top border (see `randomart_title`), the digest below.

    The walk is that of Loss, Limmer and von Gernler, "The drunken bishop: an analysis of the OpenSSH fingerprint visualization
    algorithm" (2009): two bits a step, least significant first, always diagonally, sliding along the walls.
    """
    name, digest = _digest(blob, digest_name)
    visits = [[0] * _WIDTH for _ in range(_HEIGHT)]
    x, y = _WIDTH // 2, _HEIGHT // 2
    for step in (byte >> shift & 3 for byte in digest for shift in (0, 2, 4, 6)):
        x = min(max(x + (1 if step & 1 else -1), 0), _WIDTH - 1)
        y = min(max(y + (1 if step & 2 else -1), 0), _HEIGHT - 1)
        visits[y][x] += 1
    rows = [[_SHADES[min(count, len(_SHADES) - 1)] for count in row] for row in visits]
    rows[_HEIGHT // 2][_WIDTH // 2] = _START
    rows[y][x] = _END
    return "\n".join([_border(title), *(f"|{''.join(row)}|" for row in rows), _border(name)])


_FAMILIES = {
    "ssh-ed25519": "ED25519",
    "ssh-ed448": "ED448",
    "ssh-rsa": "RSA",
    "sk-ssh-ed25519": "ED25519-SK",
    "sk-ecdsa-sha2-nistp256": "ECDSA-SK",
}


def key_family(key_type: str) -> str:
    """What ssh-keygen calls a type of key or certificate, such as ``ED25519``, ``ECDSA-SK`` or ``RSA-CERT``.

    It has no name for types of a user's own: theirs is the key type.
    """
    name, at, domain = key_type.partition("@")
    plain = name.removesuffix("-cert-v01") if at else name
    if plain.startswith("ecdsa-sha2-") and domain in ("", "openssh.com"):
        family = "ECDSA"
    elif domain in ("", "openssh.com") and plain in _FAMILIES:
        family = _FAMILIES[plain]
    else:
        return key_type
    return family if plain == name else f"{family}-CERT"


def randomart_title(key_type: str, bits: int) -> str:
    """What stands in the picture's top border, such as ``ED25519 256``; without the size where there is no room for it."""
    family = key_family(key_type)
    title = f"{family} {bits}"
    return title if len(title) + 2 < _WIDTH else family


def _border(text: str) -> str:
    shown = f"[{text}]"[: _WIDTH - 1]
    left = (_WIDTH - len(shown)) // 2
    return "+" + "-" * left + shown + "-" * (_WIDTH - len(shown) - left) + "+"
