"""Every exception this package raises of its own, on one screen and a half.

Streams raise trio's ``ClosedResourceError``, ``BrokenResourceError`` (``__cause__`` is the `SSHError` that killed the connection) and
``BusyResourceError``. Bytes from a peer can raise `RemoteProtocolError` and its kin, and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT_BYTES_MAX = 1024


def printable(text: bytes | str, limit: int = TEXT_BYTES_MAX) -> str:
    """Peer's text made safe for logs, terminals and exception texts: every control, bidi or undecodable character is escaped.

    At most `limit` characters come back; a cut is shown by an ellipsis.
    """
    if isinstance(text, (bytes, bytearray, memoryview)):
        text = bytes(text[: 4 * limit]).decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


class SSHError(Exception):
    """Root of all errors of this package."""


class ProtocolError(SSHError):
    """A rule of the protocol was broken, by us or by the peer."""


class LocalProtocolError(ProtocolError):
    """Our own caller asked for something that is not legal now. Nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer broke a rule; the connection ends.

    `reason` is the DISCONNECT reason sent to the peer (RFC 4253 §11.1), or None to close without a DISCONNECT; `plain_text` is sent
    as it is before such a close, for a peer that has not spoken SSH yet.
    """

    def __init__(
        self, text: str, *, reason: int | None = 2, expected: str = "", received: str = "", plain_text: bytes = b""
    ) -> None:
        super().__init__(text)
        self.reason = reason
        self.expected = expected
        self.received = received
        self.plain_text = plain_text


class DecodeError(RemoteProtocolError):
    """Bytes do not have the shape that their message, key or signature requires (RFC 4251 §5)."""


class IntegrityError(RemoteProtocolError):
    """A packet's MAC or authentication tag is wrong (RFC 4253 §6.4): tampered with, damaged, or out of order."""

    def __init__(self, text: str = "packet failed its integrity check: damaged or tampered with on the way") -> None:
        super().__init__(text, reason=5)


class CompressionError(RemoteProtocolError):
    """A compressed packet cannot be inflated, or only to more than is taken (RFC 4253 §6.2)."""

    def __init__(self, text: str) -> None:
        super().__init__(text, reason=6)


class KeyExchangeError(RemoteProtocolError):
    """The peer's part of a key exchange is invalid: a bad public value, signature or hash (RFC 4253 §8)."""

    def __init__(self, text: str) -> None:
        super().__init__(text, reason=3)


class CryptographyFailed(SSHError):
    """Our own cryptography, or one that was registered, failed: no fault of the peer's. ``__cause__`` is what happened.

    What state its keys are in cannot be known then, so that the connection ends.
    """

    def __init__(self, doing: str, error: BaseException) -> None:
        super().__init__(f"cryptography failed while {doing}: {type(error).__name__}: {printable(str(error), 200)}")


class failing_as:  # it reads as the statement that it is: a class costs a third of a generator's context manager
    """``with failing_as("signing"):`` what goes wrong in the block, and is no `SSHError`, is a `CryptographyFailed`. Cancellations pass."""

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, SSHError):
            raise CryptographyFailed(self._doing, error) from error


class NegotiationError(SSHError):
    """The two sides have no algorithm of one kind in common (RFC 4253 §7.1)."""

    def __init__(self, kind: str, ours: Sequence[str], theirs: Sequence[str]) -> None:
        self.kind = kind
        self.ours = tuple(ours)
        self.theirs = tuple(theirs)
        their_text = printable(",".join(self.theirs)) or "nothing"
        super().__init__(f"no common {kind}: we offer {','.join(self.ours) or 'nothing'}; the peer offers {their_text}")


class HostKeyError(SSHError):
    """The server's host key is not accepted. `offered` is the key's SHA256 fingerprint; `path` and `line` name the saved entry."""

    def __init__(
        self, text: str, *, offered: str = "", known: Sequence[str] = (), path: str | None = None, line: int | None = None
    ) -> None:
        super().__init__(text)
        self.offered = offered
        self.known = tuple(known)
        self.path = path
        self.line = line


class HostKeyUnknown(HostKeyError):
    """No key is saved for this host."""


class HostKeyChanged(HostKeyError):
    """Another key is saved for this host: `path` and `line` say where."""


class HostKeyRevoked(HostKeyError):
    """The key is marked ``@revoked``: `path` and `line` say where."""


class CertificateError(SSHError):
    """A certificate does not hold for what it is used for, or now, or here: the text says why. Its form and signature are sound."""


class AuthenticationFailed(SSHError):
    """The server did not let us in. `tried` lists what was tried, in order; `methods_left` what the server would still take."""

    def __init__(
        self, text: str, *, methods_left: Sequence[str] = (), tried: Sequence[str] = (), partial_success: bool = False
    ) -> None:
        super().__init__(text)
        self.methods_left = tuple(methods_left)
        self.tried = tuple(tried)
        self.partial_success = partial_success


class ChannelOpenFailure(SSHError):
    """The peer refused to open a channel (RFC 4254 §5.1): `reason` is its code, `description` its text."""

    def __init__(self, reason: int, description: str) -> None:
        self.reason = reason
        self.description = printable(description)
        names = {1: "prohibited", 2: "connect failed", 3: "unknown channel type", 4: "resource shortage"}
        super().__init__(f"the peer refused the channel ({names.get(reason, f'reason {reason}')}): {self.description}")


class RequestDenied(SSHError):
    """The peer answered a channel or global request with FAILURE."""


class ConnectionLost(SSHError):
    """The connection is gone; the text names the first cause."""


class Disconnected(ConnectionLost):
    """The peer ended the connection with a DISCONNECT: `reason` and `description` are its words (RFC 4253 §11.1)."""

    def __init__(self, reason: int, description: str) -> None:
        self.reason = reason
        self.description = printable(description)
        super().__init__(f"the peer disconnected (reason {reason}): {self.description}")


class ProcessFailed(SSHError):
    """`run_process(check=True)`: the remote command ended with a status other than 0, by a signal, or without either."""

    def __init__(self, command: str, exit_status: int | None, exit_signal: str | None, stdout: bytes, stderr: bytes) -> None:
        self.command = command
        self.exit_status = exit_status
        self.exit_signal = exit_signal
        self.stdout = stdout
        self.stderr = stderr
        if exit_signal is not None:
            how = f"was ended by signal {printable(exit_signal)}"
        elif exit_status is not None:
            how = f"ended with exit status {exit_status}"
        else:
            how = "ended without saying how"
        super().__init__(f"remote command {printable(command)!r} {how}")


class KeyFileError(SSHError):
    """A key, known_hosts or authorized_keys file cannot be used: `path` and, where it helps, `line`."""

    def __init__(self, text: str, *, path: str | None = None, line: int | None = None) -> None:
        super().__init__(text)
        self.path = path
        self.line = line


class AgentError(SSHError):
    """An SSH agent could not do what it was asked for; `AgentError`'s kin say why."""


class AgentUnavailable(AgentError):
    """There is no agent to ask: none is configured, or its socket takes no connection."""


class AgentRefused(AgentError):
    """The agent answered FAILURE. The protocol gives no reason; the text names the usual ones."""


class AgentLocked(AgentRefused):
    """The agent refused, and is locked: it does nothing until it is unlocked."""


class AgentLost(AgentError):
    """The connection to the agent is gone, or was given up in the midst of a request: open another."""


class AgentProtocolError(AgentError):
    """The agent's answer is malformed or no answer to the question; the connection to it was closed."""


class ConfigError(SSHError):
    """A configuration file or option is wrong or not supported: the text names it, with file and line."""
