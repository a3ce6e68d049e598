"""`AuthAttempt`: one request of a client as a server's policy sees it, and `Prompt`, what a policy may ask back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs

from ..errors import LocalProtocolError
from ..keys.certificates import Certificate
from ..keys.key import PublicKey
from ..keys.security_keys import SecurityKeyUse


@attrs.frozen
class Prompt:
    """One question of keyboard-interactive (RFC 4256 §3.2); `echo`: the answer may be shown while it is typed."""

    text: str
    echo: bool = False


AskClient = Callable[[Sequence[Prompt], str, str], Awaitable[tuple[str, ...]]]


@attrs.frozen(kw_only=True)
class AuthAttempt:
    """One request of a client, as a policy sees it.

    `proven` is True when the client has shown what `method` demands be shown before a policy is asked: a signature that verified. A
    publickey attempt that is not proven only asks whether the key would do: answer it without side effects.
    """

    username: str
    method: str
    password: str | None = attrs.field(default=None, repr=False)
    new_password: str | None = attrs.field(default=None, repr=False)
    """The client wants its password changed to this one (RFC 4252 §8); `password` is the old one."""
    public_key: PublicKey | None = None
    certificate: Certificate | None = None
    """Instead of `public_key`: a key with a certificate. Its form and its authority's signature are checked, nothing else is."""
    algorithm: str = ""
    proven: bool = False
    security_key: SecurityKeyUse | None = None
    """What a security key's signature says of its use; None for other keys and where nothing is proven."""
    peer: str = ""
    """The client's address and port as text, "" where the stream has none."""
    address: str = ""
    """Its IP address alone, likewise."""
    _ask: AskClient | None = attrs.field(default=None, repr=False, eq=False, alias="ask_client")

    def ask(self, prompts: Sequence[Prompt], name: str = "", instruction: str = "") -> Awaitable[tuple[str, ...]]:
        """Keyboard-interactive only: put questions to the client's user; as many answers as prompts come back.

        May be called several times, one after another. If the client gives the attempt up, or breaks a rule, the policy is cancelled.
        """
        if self._ask is None:
            raise LocalProtocolError(f"nothing can be asked in an attempt of the method {self.method}; only keyboard-interactive can")
        return self._ask(prompts, name, instruction)
