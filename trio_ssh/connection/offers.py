"""What a client can offer as proof of who its user is: a key that signs, a password, answers to questions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import attrs

from ..errors import SSHError
from ..protocol.auth_client import Asked


class NotNow(SSHError):
    """For `Signer.sign`: this key cannot sign now, because nobody gives its passphrase, say; the next offer is tried."""


class Signer(Protocol):
    """A key that can sign, wherever its private half is."""

    @property
    def algorithms(self) -> Sequence[str]:
        """Signature algorithms, most wanted first; those of a certificate for a key with one."""

    @property
    def key_blob(self) -> bytes:
        """The public key, or the certificate, in wire form."""

    @property
    def ask_first(self) -> bool:
        """Is signing dear (a passphrase, a touch), so that the server is asked whether it wants the key at all?"""

    async def sign(self, algorithm: str, data: bytes) -> bytes:
        """The signature in wire form. Raises `NotNow` to have the next offer tried."""


@attrs.frozen
class PasswordOffer:
    """A password to be asked for when its turn comes; None skips the method.

    `change` is asked with the server's text when the password is right but must be changed (RFC 4252 §8): the new one, or None.
    """

    ask: Callable[[], Awaitable[str | None]]
    change: Callable[[str], Awaitable[str | None]] | None = None


@attrs.frozen
class KeyboardInteractiveOffer:
    """``await answer(asked)`` answers one round of the server's questions (RFC 4256 §3.2), as many answers as prompts; None gives up.

    A round without prompts shows its texts only. `submethods` are devices that the user would like, with commas between them.
    """

    answer: Callable[[Asked], Awaitable[Sequence[str] | None]]
    submethods: str = ""


Offer = Signer | PasswordOffer | KeyboardInteractiveOffer


@attrs.frozen
class SessionBinding:
    """What ties an authentication to its connection: who signs may want to know for whom (OpenSSH PROTOCOL.agent §1, session-bind).

    `signature` is the server's over `session_id`, the first exchange hash, by the key or certificate `host_key_blob`.
    """

    session_id: bytes
    host_key_blob: bytes
    signature: bytes
    username: str
