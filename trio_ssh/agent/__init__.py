"""SSH agents (RFC 9987): keys that somebody else holds for us. `open_agent` talks to one, `AgentCredential` logs in with its keys."""

from __future__ import annotations

from ..errors import AgentError, AgentLocked, AgentLost, AgentProtocolError, AgentRefused, AgentUnavailable
from .client import AgentClient, BoundSession
from .connect import agent_path, open_agent
from .constraints import (
    AssociatedCertificates,
    Confirm,
    Constraint,
    Destination,
    Hop,
    HostKeySpec,
    Lifetime,
    RestrictDestination,
    SecurityKeyProvider,
)
from .credential import AgentCredential, AgentSigner
from .limits import AgentLimits
from .messages import AgentIdentity

__all__ = [
    "AgentClient",
    "AgentCredential",
    "AgentError",
    "AgentIdentity",
    "AgentLimits",
    "AgentLocked",
    "AgentLost",
    "AgentProtocolError",
    "AgentRefused",
    "AgentSigner",
    "AgentUnavailable",
    "AssociatedCertificates",
    "BoundSession",
    "Confirm",
    "Constraint",
    "Destination",
    "Hop",
    "HostKeySpec",
    "Lifetime",
    "RestrictDestination",
    "SecurityKeyProvider",
    "agent_path",
    "open_agent",
]
