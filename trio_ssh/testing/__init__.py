"""For tests of programs that use `trio_ssh`: a simulated network with faults, connected pairs, a peer that says anything, a monitor.

Everything random comes from a seed and all time is trio's: on `trio.testing.MockClock` hours cost nothing, and a failure comes again.
"""

from __future__ import annotations

from .forged_packet import ForgedPacket
from .link import Link
from .monitor import INVARIANTS, InvariantBroken, ProtocolMonitor
from .network import Passage, SimulatedListener, SimulatedNetwork
from .pair import ConnectionPair, SomethingLeft, open_connection_pair, open_server
from .raw_peer import RawPeer, UnexpectedMessage, password_request, raw_client, raw_server
from .replay import replayable, simulate
from .schedule import deterministic_schedule
from .stage import HOST_KEY, PASSWORD, QUICK, USER_KEY, USERNAME
from .stream import SimulatedStream
from .watching import Watch, watched

__all__ = [
    "HOST_KEY",
    "INVARIANTS",
    "PASSWORD",
    "QUICK",
    "USERNAME",
    "USER_KEY",
    "ConnectionPair",
    "ForgedPacket",
    "InvariantBroken",
    "Link",
    "Passage",
    "ProtocolMonitor",
    "RawPeer",
    "SimulatedListener",
    "SimulatedNetwork",
    "SimulatedStream",
    "SomethingLeft",
    "UnexpectedMessage",
    "Watch",
    "deterministic_schedule",
    "open_connection_pair",
    "open_server",
    "password_request",
    "raw_client",
    "raw_server",
    "replayable",
    "simulate",
    "watched",
]
