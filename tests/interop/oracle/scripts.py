"""Every script: those that are played to servers, and those that are played to clients."""

from __future__ import annotations

from tests.interop.oracle import channels, exchange, identification, login, negotiation, packets
from tests.interop.oracle.steps import Script

SERVER_SCRIPTS: tuple[Script, ...] = (
    *(identification.TO_BOTH + identification.TO_SERVERS),
    *(packets.TO_BOTH + packets.TO_SERVERS),
    *(negotiation.TO_BOTH + negotiation.TO_SERVERS),
    *(exchange.TO_BOTH + exchange.TO_SERVERS),
    *login.TO_SERVERS,
    *(channels.TO_BOTH + channels.TO_SERVERS),
)

CLIENT_SCRIPTS: tuple[Script, ...] = (
    *(identification.TO_BOTH + identification.TO_CLIENTS),
    *packets.TO_BOTH,
    *(negotiation.TO_BOTH + negotiation.TO_CLIENTS),
    *(exchange.TO_BOTH + exchange.TO_CLIENTS),
    *login.TO_CLIENTS,
    *(channels.TO_BOTH + channels.TO_CLIENTS),
)
