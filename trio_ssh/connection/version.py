"""How we call ourselves on the wire (RFC 4253 §4.2): printable ASCII, no blank and no minus."""

from __future__ import annotations

VERSION = "0.1.0"
SOFTWARE = f"trio_ssh_{VERSION}"
