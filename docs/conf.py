"""Sphinx configuration. Built by ``make check`` with warnings as errors, and without a network."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "trio_ssh"
author = "the trio_ssh authors"
copyright = author
extensions = ["sphinx.ext.autodoc", "cases", "config_tables", "deviations", "readme", "state_tables", "unreleased"]
exclude_patterns = ["_build", "changelog.d"]
html_theme = "alabaster"
html_theme_options = {"description": "SSH for Trio", "page_width": "1100px", "show_powered_by": False}

default_role = "py:obj"  # docstrings name things in single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False  # what trio says about its streams is in trio's documentation
autodoc_type_aliases = {name: f"trio_ssh.{name}" for name in ("Credential", "Event", "Handler", "Observer", "Offer")}

# Nobody but the library makes one of these, or their members say it better: their constructors are no part of the reference.
WITHOUT_SIGNATURE = {
    *("AuthAttempt", "AuthAttempted", "Authenticator", "ChannelClosed", "ChannelOpened", "ChannelStatistics", "Client", "CompletedProcess"),
    *("Connecting", "ConnectionEnded", "ConnectionOpened", "ExitSignalReport", "HostKeyPolicy", "HostKeyQuestion", "KeyExchangeDone"),
    *("Negotiated", "PeerLacksStrictKex", "PrivateKey", "Process", "PublicKey", "RekeyCause", "ServerSession", "Statistics", "Stderr"),
    *("ConnectionPair", "RawPeer", "SimulatedListener", "SimulatedStream", "Watch"),
    *("AuthorizedKeys", "Services", "Signer", "TrustAnyHostKey"),
    *("Asked", "Certificate", "CertificateAuthority", "Resolved", "RulesByLogin", "SecurityKeyUse", "Setting", "Settings", "SSHConfig"),
    *("SSHDConfig",),
}


def shown_signature(
    app: Sphinx, what: str, name: str, value: object, options: object, signature: str | None, result: str | None
) -> tuple[str, str | None] | None:
    """For autodoc: None leaves a signature as it is."""
    if not signature:
        return None
    if signature == "(*args, **kwargs)":
        return "", None  # a protocol's
    signature = re.sub(r"= ?(NOTHING|<[\w .-]+>)(?=[,)])", "= ...", signature)  # a default that is made anew, or a function
    if what == "exception" or (what == "class" and name.rpartition(".")[2] in WITHOUT_SIGNATURE):
        return "", None
    if result is not None and "AsyncIterator[" in result and name.rpartition(".")[2].startswith("open_"):
        result = result.replace("AsyncIterator[", "AbstractAsyncContextManager[")  # the decorator hides it from autodoc
    elif result is not None and re.match(r"(~?collections\.abc\.)?Iterator\[", result):
        result = re.sub(r"^(~?collections\.abc\.)?Iterator", "AbstractContextManager", result)
    return aliases_by_name(signature), None if result is None else aliases_by_name(result)


def aliases_by_name(text: str) -> str:
    """An alias within a union comes out of autodoc as the object that stands for it."""
    return re.sub(r"TypeAliasForwardRef\('([\w.]+)'\)", r"\1", text)


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-signature", shown_signature)
