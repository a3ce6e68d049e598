"""Sphinx configuration. Built by ``make check`` with warnings as errors, and without a network."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "trio_ssh"
author = "the trio_ssh authors"
copyright = author
extensions = ["sphinx.ext.autodoc", "readme", "state_tables", "unreleased"]
exclude_patterns = ["_build", "changelog.d"]
html_theme = "alabaster"
html_theme_options = {"description": "SSH for Trio", "page_width": "1100px", "show_powered_by": False}

default_role = "py:obj"  # docstrings name things in single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"

# Nobody but the library makes one of these: how they are made is no part of the reference.
MADE_BY_US = frozenset(
    """AuthAttempt AuthAttempted ChannelClosed ChannelOpened ChannelStatistics Client CompletedProcess Connecting ConnectionEnded
    ConnectionOpened ExitSignalReport HostKeyQuestion KeyExchangeDone Negotiated PeerLacksStrictKex PrivateKey Process PublicKey RekeyCause
    ServerSession Statistics Stderr TrustAnyHostKey HostKeyPolicy Authenticator""".split()
)


def shown_signature(
    app: Sphinx, what: str, name: str, value: object, options: object, signature: str | None, result: str | None
) -> tuple[str, str | None] | None:
    """For autodoc: None leaves a signature as it is."""
    hidden = what == "exception" or (what == "class" and name.rpartition(".")[2] in MADE_BY_US)
    return ("", None) if hidden else None


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-signature", shown_signature)
