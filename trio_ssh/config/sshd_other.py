"""Keywords of sshd_config(5) that need nothing done: what they ask for holds anyway, or has no effect here, which a warning then says.

A value that would promise more than is kept, such as ``HostbasedAuthentication yes``, is an error, as is a keyword that nobody knows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs

from .lines import Line
from .settings import Included, unknown_option
from .values import shown


@attrs.frozen
class Other:
    """Values that hold without anything being done; of others, what to say: a warning, or an error."""

    name: str
    holds: frozenset[str] | None = None
    """In lower case; None is any."""
    warning: str = ""
    error: str = ""


_NOT_FORWARDED = "nothing is forwarded by this server yet"
_UNUSED = "it has no effect here"
_GONE = "it has had no effect for many versions of sshd; remove it"
_METHOD = "this method of authentication is not supported"


def _rows(names: str, values: str = "", *, warning: str = "", error: str = "") -> dict[str, Other]:
    """Rows of one kind; without `values` any value holds, unless something is said of it."""
    holds = frozenset(values.split()) if values or warning or error else None
    return {name.lower(): Other(name, holds, warning, error) for name in names.split()}


OTHERS: dict[str, Other] = {
    **_rows("AllowTcpForwarding AllowStreamLocalForwarding AllowAgentForwarding X11Forwarding GatewayPorts", "no", warning=_NOT_FORWARDED),
    **_rows("PermitTunnel", "no", warning=_NOT_FORWARDED),
    **_rows("PermitOpen PermitListen", "none", warning=_NOT_FORWARDED),
    **_rows("DisableForwarding X11DisplayOffset X11UseLocalhost XAuthLocation StreamLocalBindMask StreamLocalBindUnlink"),
    **_rows("IPQoS VersionAddendum LogVerbose DebianBanner", "none", warning=_UNUSED),
    **_rows("PrintMotd PrintLastLog", "no", warning=_UNUSED),
    **_rows("ExposeAuthInfo", "no", error="the file that it asks for is not written yet"),
    **_rows("ChrootDirectory", "none", error="folders cannot be made the root of sessions yet"),
    **_rows("HostKeyAgent", "none", error="host keys in an agent are not supported yet"),
    **_rows("SecurityKeyProvider", "internal", warning=_UNUSED),
    **_rows("RDomain", "none", error="routing domains are not supported"),
    **_rows("UnusedConnectionTimeout", "none 0", error="it is not supported yet"),
    **_rows("ChannelTimeout", "none", error="it is not supported yet"),
    **_rows("HostbasedAuthentication GSSAPIAuthentication KerberosAuthentication GSSAPIKeyExchange", "no", error=_METHOD),
    **_rows("IgnoreRhosts IgnoreUserKnownHosts HostbasedUsesNameFromPacketOnly HostbasedAcceptedAlgorithms HostbasedAcceptedKeyTypes"),
    **_rows("GSSAPICleanupCredentials GSSAPIStrictAcceptorCheck GSSAPIStoreCredentialsOnRekey GSSAPIKexAlgorithms"),
    **_rows("KerberosGetAFSToken KerberosOrLocalPasswd KerberosTicketCleanup"),
    **_rows("Protocol", "2", error="there is only protocol 2 here"),
    **_rows("UsePrivilegeSeparation KeyRegenerationInterval ServerKeyBits UseLogin RSAAuthentication", warning=_GONE),
    **_rows("RhostsRSAAuthentication RhostsAuthentication CheckMail ReverseMappingCheck VerifyReverseMapping", warning=_GONE),
    **_rows("AuthorizedKeysFile2 PAMAuthenticationViaKbdInt AFSTokenPassing KerberosTgtPassing", warning=_GONE),
}
"""By name in lower case."""


@attrs.define(eq=False)
class OtherLines:
    """Takes the lines whose keywords are not settings; `known` are the names of those that are."""

    known: Collection[str]
    warnings: list[str] = attrs.field(factory=list)

    def take(self, line: Line) -> Included:
        """An item that sets nothing. Raises `ConfigError`."""
        other = OTHERS.get(line.keyword.lower())
        if other is None:
            raise line.place.error(unknown_option(line.keyword, [*self.known, *(one.name for one in OTHERS.values()), "Match", "Include"]))
        if not line.words:
            raise line.place.error(f"{other.name}: its value is missing")
        if other.holds is not None and not _all_in(line.words, other.holds):
            if other.error:
                raise line.place.error(f"{other.name} {shown(line.words[0])}: {other.error}")
            self.warnings.append(f"{line.place}: {other.name} {shown(line.words[0])}: {other.warning}")
        return Included(())


def _all_in(words: Sequence[str], holds: Collection[str]) -> bool:
    return all(word.lower() in holds for word in words)
