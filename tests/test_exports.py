"""The public names, pinned: a name comes or goes by an edit of this file, and each has a docstring and a signature that tell the truth."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator

import pytest

import trio_ssh

KEYWORDS_MAX = 10

# Everything that `trio_ssh` exports, sorted.
PUBLIC_NAMES: tuple[str, ...] = (
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
)


def leaked_names(module: types.ModuleType) -> set[str]:
    """Names without an underscore that neither stand in ``__all__`` nor are the package's own submodules."""
    shown = {name for name in vars(module) if not name.startswith("_")}
    rooms = {name for name in shown if getattr(vars(module)[name], "__name__", "") == f"{module.__name__}.{name}"}
    return shown - rooms - set(module.__all__) - {"annotations"}  # the last is "from __future__"'s


def undocumented_names(module: types.ModuleType) -> list[str]:
    """Public classes and functions without a docstring of their own (a constant's meaning stands at its definition)."""
    values = {name: getattr(module, name) for name in module.__all__}
    return sorted(
        name
        for name, value in values.items()
        if (inspect.isclass(value) and not vars(value).get("__doc__")) or (inspect.isroutine(value) and not inspect.getdoc(value))
    )


def public_functions(module: types.ModuleType) -> Iterator[tuple[str, Callable[..., object]]]:
    """Public functions, and the public methods that public classes define themselves."""
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value):
            for method, raw in vars(value).items():
                function = raw.__func__ if isinstance(raw, (classmethod, staticmethod)) else raw
                if not method.startswith("_") and inspect.isfunction(function):
                    yield f"{name}.{method}", function
        elif inspect.isfunction(value):
            yield name, value


def signature_faults(name: str, function: Callable[..., object]) -> list[str]:
    """No ``**kwargs``, no Any, no parameter or result without a type, ten optional parameters at most."""
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    annotations = [p.annotation for p in parameters] + [signature.return_annotation]
    faults = []
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        faults.append(f"{name} takes **kwargs")
    if sum(p.default is not p.empty for p in parameters) > KEYWORDS_MAX:
        faults.append(f"{name} takes more than {KEYWORDS_MAX} optional parameters")
    if any(a is inspect.Parameter.empty for a in annotations):
        faults.append(f"{name} has a parameter or result without a type")
    if any("Any" in str(a).replace("[", " ").replace("]", " ").replace(",", " ").replace("typing.", "").split() for a in annotations):
        faults.append(f"{name} has Any in its signature")
    return faults


def test_the_list_is_filled_and_sorted() -> None:
    assert PUBLIC_NAMES
    assert list(PUBLIC_NAMES) == sorted(set(PUBLIC_NAMES))


def test_the_package_exports_the_list() -> None:
    assert trio_ssh.__all__ == list(PUBLIC_NAMES)


def test_every_exported_name_is_there() -> None:
    assert [name for name in trio_ssh.__all__ if not hasattr(trio_ssh, name)] == []


def test_nothing_else_leaks() -> None:
    assert leaked_names(trio_ssh) == set()


def test_every_name_has_a_docstring() -> None:
    assert undocumented_names(trio_ssh) == []


def test_signatures_tell_the_truth() -> None:
    assert [fault for name, function in public_functions(trio_ssh) for fault in signature_faults(name, function)] == []


# --- the checks on fakes ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fake() -> types.ModuleType:
    module = types.ModuleType("fake")
    source = '''
from __future__ import annotations
import os
from typing import Any
__all__ = ["Tidy", "bare", "tidy", "wide"]
class Tidy:
    """Has a docstring."""
    @classmethod
    def loose(cls, **kwargs: int) -> Tidy: return cls()
    def _private(self, x): return x
def tidy(x: int, *, y: int = 1) -> int:
    """Has one too."""
    return x
def bare(x: Any, y) -> dict[str, Any]: return {}
def wide(a: int = 0, b: int = 0, c: int = 0, d: int = 0, e: int = 0, f: int = 0, *, g: int = 0, h: int = 0, i: int = 0, j: int = 0,
         k: int = 0) -> None:
    """Eleven."""
'''
    exec(compile(source, "fake", "exec"), vars(module))  # a module that breaks every rule once
    vars(module)["wire"] = types.ModuleType("fake.wire")
    return module


def test_a_leak_is_seen_and_a_submodule_is_none(fake: types.ModuleType) -> None:
    assert leaked_names(fake) == {"os", "Any"}


def test_a_missing_docstring_is_seen(fake: types.ModuleType) -> None:
    assert undocumented_names(fake) == ["bare"]


def test_each_fault_of_a_signature_is_seen(fake: types.ModuleType) -> None:
    faults = [fault for name, function in public_functions(fake) for fault in signature_faults(name, function)]
    assert faults == [
        "Tidy.loose takes **kwargs",
        "bare has a parameter or result without a type",
        "bare has Any in its signature",
        "wide takes more than 10 optional parameters",
    ]
