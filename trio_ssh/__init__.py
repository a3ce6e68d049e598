"""SSH for Trio: client and server over any `trio.abc.Stream`, with channels as streams and everything owned by a nursery."""

from __future__ import annotations

from .client.client import Client
from .client.connect import Connecting, connect, run_client
from .client.credentials import Credential, Password, PrivateKeyCredential, PrivateKeyFile, default_credentials
from .client.host_keys import AcceptNew, AskUser, HostKeyPolicy, HostKeyQuestion, KnownHosts, PinnedKeys, TrustAnyHostKey
from .client.process import DISCARD, MERGE, PIPE, CompletedProcess, ExitSignalReport, Process, Stderr
from .connection.authentication import ACCEPT, REFUSE, Authenticator, SignaturesByUser, Signer, Verdict
from .connection.events import (
    AuthAttempted,
    ChannelClosed,
    ChannelOpened,
    ConnectionEnded,
    ConnectionOpened,
    Event,
    KeyExchangeDone,
    Observer,
    PeerLacksStrictKex,
    RekeyCause,
)
from .connection.statistics import ChannelStatistics, Statistics
from .connection.terminal import Terminal
from .connection.version import VERSION as __version__
from .crypto.moduli import Moduli
from .errors import (
    AuthenticationFailed,
    ChannelOpenFailure,
    CompressionError,
    ConfigError,
    ConnectionLost,
    CryptographyFailed,
    DecodeError,
    Disconnected,
    HostKeyChanged,
    HostKeyError,
    HostKeyRevoked,
    HostKeyUnknown,
    IntegrityError,
    KeyExchangeError,
    KeyFileError,
    LocalProtocolError,
    NegotiationError,
    ProcessFailed,
    ProtocolError,
    RemoteProtocolError,
    RequestDenied,
    SSHError,
    printable,
)
from .keys.files import PassphraseRequired, WrongPassphrase
from .keys.key import PrivateKey, PublicKey
from .protocol.auth_server import AuthAttempt
from .protocol.limits import Limits
from .protocol.negotiation import Algorithms, Negotiated
from .protocol.role import Role
from .protocol.source_penalties import SourcePenalties
from .server.authenticators import AuthorizedKeys, Passwords, any_of
from .server.login_shell import login_shell
from .server.penalties import NOT_WELCOME, UNKNOWN_USER
from .server.run_command import run_command
from .server.serve import Handler, Services, serve, serve_listeners, serve_stream
from .server.session import ServerSession

__all__ = [
    "ACCEPT",
    "AcceptNew",
    "Algorithms",
    "AskUser",
    "AuthAttempt",
    "AuthAttempted",
    "AuthenticationFailed",
    "Authenticator",
    "AuthorizedKeys",
    "ChannelClosed",
    "ChannelOpenFailure",
    "ChannelOpened",
    "ChannelStatistics",
    "Client",
    "CompletedProcess",
    "CompressionError",
    "ConfigError",
    "Connecting",
    "ConnectionEnded",
    "ConnectionLost",
    "ConnectionOpened",
    "Credential",
    "CryptographyFailed",
    "DISCARD",
    "DecodeError",
    "Disconnected",
    "Event",
    "ExitSignalReport",
    "Handler",
    "HostKeyChanged",
    "HostKeyError",
    "HostKeyPolicy",
    "HostKeyQuestion",
    "HostKeyRevoked",
    "HostKeyUnknown",
    "IntegrityError",
    "KeyExchangeDone",
    "KeyExchangeError",
    "KeyFileError",
    "KnownHosts",
    "Limits",
    "LocalProtocolError",
    "MERGE",
    "Moduli",
    "NOT_WELCOME",
    "Negotiated",
    "NegotiationError",
    "Observer",
    "PIPE",
    "PassphraseRequired",
    "Password",
    "Passwords",
    "PeerLacksStrictKex",
    "PinnedKeys",
    "PrivateKey",
    "PrivateKeyCredential",
    "PrivateKeyFile",
    "Process",
    "ProcessFailed",
    "ProtocolError",
    "PublicKey",
    "REFUSE",
    "RekeyCause",
    "RemoteProtocolError",
    "RequestDenied",
    "Role",
    "SSHError",
    "ServerSession",
    "Services",
    "SignaturesByUser",
    "Signer",
    "SourcePenalties",
    "Statistics",
    "Stderr",
    "Terminal",
    "TrustAnyHostKey",
    "UNKNOWN_USER",
    "Verdict",
    "WrongPassphrase",
    "__version__",
    "any_of",
    "connect",
    "default_credentials",
    "login_shell",
    "printable",
    "run_client",
    "run_command",
    "serve",
    "serve_listeners",
    "serve_stream",
]
