"""SSH for Trio: client and server over any `trio.abc.Stream`, with channels as streams and everything owned by a nursery."""

from __future__ import annotations

from .agent.credential import AgentCredential
from .client.client import Client
from .client.connect import Connecting, connect, run_client
from .client.credentials import (
    CertificateCredential,
    Credential,
    KeyboardInteractive,
    Password,
    PrivateKeyCredential,
    PrivateKeyFile,
    default_credentials,
)
from .client.host_key_changes import HostKeyChanges
from .client.host_keys import (
    AcceptChanged,
    AcceptNew,
    AskUser,
    HostCertificatePolicy,
    HostKeyDoubt,
    HostKeyPolicy,
    HostKeyQuestion,
    HostKeyUpdatePolicy,
    KnownHosts,
    PinnedKeys,
    TrustAnyHostKey,
)
from .client.process import DISCARD, MERGE, PIPE, CompletedProcess, ExitSignalReport, Process, Stderr
from .connection.authenticator import (
    ACCEPT,
    REFUSE,
    Authenticator,
    Login,
    LoginRules,
    RulesByLogin,
    SignaturesByUser,
    Verdict,
)
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
from .connection.offers import KeyboardInteractiveOffer, NotNow, Offer, PasswordOffer, SessionBinding, Signer
from .connection.statistics import ChannelStatistics, Statistics
from .connection.terminal import Terminal
from .connection.version import VERSION as __version__
from .crypto.moduli import Moduli
from .errors import (
    AgentError,
    AuthenticationFailed,
    CertificateError,
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
from .keys.certificate_signing import CertificateAuthority, CertificateRequest, sign_certificate
from .keys.certificates import Certificate, CertificateKind, CertifiedKey
from .keys.export import PrivateKeyFormat
from .keys.files import PassphraseRequired, WrongPassphrase
from .keys.key import PrivateKey, PublicKey
from .keys.key_files import change_comment, change_passphrase, write_key_pair
from .keys.permissions import RESTRICTED, PermissionConflict, Permissions
from .keys.principals import AuthorizedPrincipal, ParsedPrincipals, read_authorized_principals
from .keys.public_files import CommentedPublicKey, PublicKeyFormat
from .keys.security_keys import SecurityKeyNeeded, SecurityKeyUse
from .protocol.auth_attempt import AuthAttempt, Prompt
from .protocol.auth_client import Asked
from .protocol.limits import Limits
from .protocol.negotiation import Algorithms, Negotiated
from .protocol.role import Role
from .protocol.source_penalties import SourcePenalties
from .server.authenticators import KeyboardInteractiveServer, Passwords, all_of, any_of
from .server.authorized_keys import AuthorizedKeys
from .server.login_shell import login_shell
from .server.pam import PAM
from .server.penalties import NOT_WELCOME, UNKNOWN_USER
from .server.run_command import run_command
from .server.serve import Handler, Services, serve, serve_listeners, serve_stream
from .server.session import ServerSession
from .server.shadow import ShadowPasswords
from .server.trusted_user_ca import TrustedUserCA

__all__ = [
    "ACCEPT",
    "AcceptChanged",
    "AcceptNew",
    "AgentCredential",
    "AgentError",
    "Algorithms",
    "AskUser",
    "Asked",
    "AuthAttempt",
    "AuthAttempted",
    "AuthenticationFailed",
    "Authenticator",
    "AuthorizedKeys",
    "AuthorizedPrincipal",
    "Certificate",
    "CertificateAuthority",
    "CertificateCredential",
    "CertificateError",
    "CertificateKind",
    "CertificateRequest",
    "CertifiedKey",
    "ChannelClosed",
    "ChannelOpenFailure",
    "ChannelOpened",
    "ChannelStatistics",
    "Client",
    "CommentedPublicKey",
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
    "HostCertificatePolicy",
    "HostKeyChanged",
    "HostKeyChanges",
    "HostKeyDoubt",
    "HostKeyError",
    "HostKeyPolicy",
    "HostKeyQuestion",
    "HostKeyRevoked",
    "HostKeyUnknown",
    "HostKeyUpdatePolicy",
    "IntegrityError",
    "KeyExchangeDone",
    "KeyExchangeError",
    "KeyFileError",
    "KeyboardInteractive",
    "KeyboardInteractiveOffer",
    "KeyboardInteractiveServer",
    "KnownHosts",
    "Limits",
    "LocalProtocolError",
    "Login",
    "LoginRules",
    "MERGE",
    "Moduli",
    "NOT_WELCOME",
    "Negotiated",
    "NegotiationError",
    "NotNow",
    "Observer",
    "Offer",
    "PAM",
    "PIPE",
    "ParsedPrincipals",
    "PassphraseRequired",
    "Password",
    "PasswordOffer",
    "Passwords",
    "PeerLacksStrictKex",
    "PermissionConflict",
    "Permissions",
    "PinnedKeys",
    "PrivateKey",
    "PrivateKeyCredential",
    "PrivateKeyFile",
    "PrivateKeyFormat",
    "Process",
    "ProcessFailed",
    "Prompt",
    "ProtocolError",
    "PublicKey",
    "PublicKeyFormat",
    "REFUSE",
    "RESTRICTED",
    "RekeyCause",
    "RemoteProtocolError",
    "RequestDenied",
    "Role",
    "RulesByLogin",
    "SSHError",
    "SecurityKeyNeeded",
    "SecurityKeyUse",
    "ServerSession",
    "Services",
    "SessionBinding",
    "ShadowPasswords",
    "SignaturesByUser",
    "Signer",
    "SourcePenalties",
    "Statistics",
    "Stderr",
    "Terminal",
    "TrustAnyHostKey",
    "TrustedUserCA",
    "UNKNOWN_USER",
    "Verdict",
    "WrongPassphrase",
    "__version__",
    "all_of",
    "any_of",
    "change_comment",
    "change_passphrase",
    "connect",
    "default_credentials",
    "login_shell",
    "printable",
    "read_authorized_principals",
    "run_client",
    "run_command",
    "serve",
    "serve_listeners",
    "serve_stream",
    "sign_certificate",
    "write_key_pair",
]
