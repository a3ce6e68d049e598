"""Keywords of ssh_config(5) that are known, but not honoured: which are an error when they count, and which have no effect.

The rule: a keyword that would change how the server is reached or trusted, or what others may do with the connection, is never left out.
A value that switches off what is not here anyway (``ForwardAgent no``) is taken without a word.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Sequence

import attrs

from ..errors import printable
from ..wire.patterns import matches_pattern_list
from .lines import Line
from .settings import ActiveItem, Ignored, Refused, unknown_option


class Kind(enum.Enum):
    """What leaving a keyword out would mean."""

    TUNING = "it has no effect, or none without a feature that is an error itself: one warning"
    FEATURE = "the user would get less than was asked for: an error, which IgnoreUnknown turns off"
    ROUTE = "the server would be reached or trusted in another way: always an error"


@attrs.frozen
class Other:
    """One such keyword; `off` are the values, in lower case, that ask for nothing."""

    name: str
    kind: Kind
    off: frozenset[str] = frozenset()


def _rows(kind: Kind, off: str, names: str) -> dict[str, Other]:
    return {name.lower(): Other(name, kind, frozenset(off.split())) for name in names.split()}


OTHERS: dict[str, Other] = {
    **_rows(Kind.ROUTE, "none", "ProxyCommand ProxyJump KnownHostsCommand"),
    **_rows(Kind.ROUTE, "no", "VerifyHostKeyDNS HostbasedAuthentication ProxyUseFdpass"),
    **_rows(Kind.ROUTE, "no", "ObscureKeystrokeTiming"),
    **_rows(Kind.FEATURE, "", "LocalForward RemoteForward DynamicForward"),
    **_rows(Kind.FEATURE, "no", "ForwardAgent ForwardX11 ForwardX11Trusted ForkAfterAuthentication PermitLocalCommand WarnWeakCrypto"),
    **_rows(Kind.FEATURE, "no false", "ControlMaster Tunnel"),
    **_rows(Kind.FEATURE, "no", "EnableEscapeCommandline EnableSSHKeysign"),
    **_rows(Kind.FEATURE, "no", "GSSAPIAuthentication GSSAPIKeyExchange GSSAPIDelegateCredentials"),
    **_rows(Kind.FEATURE, "none", "PKCS11Provider ChannelTimeout VersionAddendum"),
    **_rows(Kind.FEATURE, "internal", "SecurityKeyProvider"),
    # Each of these says how something works that is an error itself when it is switched on.
    **_rows(Kind.TUNING, "none", "ControlPath LogVerbose"),
    **_rows(Kind.TUNING, "no", "ControlPersist ExitOnForwardFailure GatewayPorts StreamLocalBindUnlink"),
    **_rows(Kind.TUNING, "", "ForwardX11Timeout XAuthLocation LocalCommand PermitRemoteOpen StreamLocalBindMask TunnelDevice"),
    **_rows(Kind.TUNING, "no", "GSSAPITrustDns GSSAPIRenewalForcesRekey"),
    **_rows(Kind.TUNING, "", "GSSAPIClientIdentity GSSAPIServerIdentity GSSAPIKexAlgorithms"),
    **_rows(Kind.TUNING, "", "HostbasedAcceptedAlgorithms HostbasedAcceptedKeyTypes HostbasedKeyTypes"),
    # OpenSSH itself has forgotten these.
    **_rows(Kind.TUNING, "2", "Protocol"),
    **_rows(Kind.TUNING, "no", "UseRoaming UsePrivilegedPort FallBackToRsh UseRsh RhostsAuthentication RhostsRSAAuthentication"),
    **_rows(Kind.TUNING, "no", "RSAAuthentication KerberosAuthentication KerberosTGTPassing AFSTokenPassing UseBlacklistedKeys"),
    **_rows(Kind.TUNING, "", "Cipher CompressionLevel UserKnownHostsFile2 GlobalKnownHostsFile2 SmartcardDevice"),
}
FORWARDINGS = frozenset({"LocalForward", "RemoteForward", "DynamicForward"})


def other_line(line: Line, known: Sequence[str], *, system: bool = False) -> ActiveItem:
    """What a line is whose keyword is not honoured; `known` are the names of those that are.

    In the system's file (`system`), which is written for all programs and not by the user, a feature that is missing is left out.
    Raises `ConfigError` for a line without a value.
    """
    other = OTHERS.get(line.keyword.lower())
    if other is None:
        error = unknown_option(line.keyword, [*known, *(one.name for one in OTHERS.values()), "Host", "Match", "Include"])
        return Refused(line.place, line.keyword, False, error)
    if not line.words:
        raise line.place.error(f"{other.name}: its value is missing")
    if len(line.words) == 1 and line.words[0].lower() in other.off:
        return Ignored(line.place, other.name, True)
    if other.kind is Kind.TUNING or (other.kind is Kind.FEATURE and system):
        return Ignored(line.place, other.name, system)
    advice = f"; to go on without it, set IgnoreUnknown={other.name} above" if other.kind is Kind.FEATURE else ""
    return Refused(line.place, other.name, True, f"the option '{printable(line.keyword)}' is not supported{advice}")


def still_refused(refused: Iterable[Refused], ignored_patterns: Collection[str], *, no_forwardings: bool) -> list[Refused]:
    """Those that IgnoreUnknown does not name, and that ClearAllForwardings does not take away."""
    return [
        line
        for line in refused
        if not (no_forwardings and line.keyword in FORWARDINGS)
        and not (_may_be_ignored(line) and matches_pattern_list(line.keyword.lower(), [one.lower() for one in ignored_patterns]))
    ]


def _may_be_ignored(line: Refused) -> bool:
    return not line.known or OTHERS[line.keyword.lower()].kind is Kind.FEATURE


def ignored_text(ignored: Iterable[Ignored]) -> str:
    """One line that names all that was left out; "" where nobody need be told."""
    loud = [f"{one.keyword} ({one.place})" for one in ignored if not one.quiet]
    return f"without effect here: {printable(', '.join(dict.fromkeys(loud)))}" if loud else ""
