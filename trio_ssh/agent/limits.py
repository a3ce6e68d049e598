"""What an agent, or a client of ours in the agent's place, can make us hold (hardening E02)."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class AgentLimits:
    """Bounds of one connection to an agent, for either side of it."""

    frame_bytes: int = 256 * 1024
    """The largest message taken; a larger one is refused when its length has been read, before any of it is kept."""
    identities: int = 2048
    """The most keys that an agent's list may have."""
