"""``trio-ssh -Q``: which algorithms there are, legacy ones too, one to a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import Algorithms, printable
from ..keys import CERTIFICATE_KEY_TYPES, KEY_TYPES
from .options import UsageError

_CERTIFICATE = "-cert-v01@openssh.com"


def _plain(names: Sequence[str]) -> Sequence[str]:
    return [name for name in names if not name.endswith(_CERTIFICATE)]


_ANSWERS: dict[str, Callable[[Algorithms], Sequence[str]]] = {
    "cipher": lambda a: a.ciphers,
    "cipher-auth": lambda a: [name for name in a.ciphers if "gcm" in name or "poly1305" in name],
    "compression": lambda a: a.compression,
    "kex": lambda a: a.kex or (),
    "key": lambda a: (*KEY_TYPES, *CERTIFICATE_KEY_TYPES),
    "key-cert": lambda a: tuple(CERTIFICATE_KEY_TYPES),
    "key-plain": lambda a: tuple(KEY_TYPES),
    "key-sig": lambda a: a.signatures,
    "mac": lambda a: a.macs,
    "protocol-version": lambda a: ("2",),
    "sig": lambda a: _plain(a.signatures),
}
_KEYWORDS = {
    "ciphers": "cipher",
    "macs": "mac",
    "kexalgorithms": "kex",
    "hostkeyalgorithms": "key-sig",
    "pubkeyacceptedalgorithms": "key-sig",
    "casignaturealgorithms": "sig",
}


def answer(query: str) -> Sequence[str]:
    """The names of one kind; ``help`` is the kinds. Raises `UsageError`."""
    if query == "help":
        return tuple(_ANSWERS)
    kind = _KEYWORDS.get(query.lower(), query)
    if kind not in _ANSWERS:
        raise UsageError(f"-Q '{printable(query, 60)}': there are {', '.join(_ANSWERS)} and the keywords with lists of these")
    return _ANSWERS[kind](Algorithms.everything())
