"""The machines of one connection and the memory channels between its tasks."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
import trio

from ..errors import SSHError
from ..protocol.identification import IdentificationReader
from ..protocol.limits import Limits
from ..protocol.negotiation import Algorithms
from ..protocol.negotiator import Negotiator
from ..protocol.opener import Opener
from ..protocol.phases import PhaseTracker
from ..protocol.role import Role
from ..protocol.sealer import Sealer
from .events import Observer
from .reader import PacketSink, Router, read_packets
from .rekey_supervisor import KEX_NEWS_WAITING, InboundKeys, KexNews, OurIdentity, RekeySupervisor
from .tap import TAP
from .transport import Transport

T = TypeVar("T")
Pair = tuple[trio.MemorySendChannel[T], trio.MemoryReceiveChannel[T]]


@attrs.frozen(kw_only=True, eq=False)
class Parts:
    """The machines and the memory channels between the tasks: wired once, then only used."""

    transport: Transport
    opener: Opener
    phases: PhaseTracker
    negotiator: Negotiator
    supervisor: RekeySupervisor
    router: Router
    transports: trio.MemoryReceiveChannel[Transport]
    auth_messages: trio.MemoryReceiveChannel[bytes]
    muxes_in: trio.MemorySendChannel[PacketSink]
    read: Callable[[], Awaitable[None]]
    supervise: Callable[[], Awaitable[None]]

    @classmethod
    def build(
        cls,
        stream: trio.abc.Stream,
        role: Role,
        algorithms: Algorithms,
        limits: Limits,
        us: OurIdentity,
        note: Observer,
        end: Callable[[SSHError], None],
    ) -> Parts:
        """`note` is told of every event, `end` of a key that fails whosever task it was that used it."""
        # Annotated instead of subscripted: trio's subscript costs as much again as the channel, and this is done for every connection.
        news: Pair[KexNews] = trio.open_memory_channel(KEX_NEWS_WAITING)
        keys: Pair[InboundKeys] = trio.open_memory_channel(1)
        auth_messages: Pair[bytes] = trio.open_memory_channel(limits.auth_messages_waiting)
        transports: Pair[Transport] = trio.open_memory_channel(1)
        muxes: Pair[PacketSink] = trio.open_memory_channel(1)

        phases = PhaseTracker(role)
        negotiator = Negotiator(role, algorithms, limits)
        # Before the first keys there is no budget to spend: the first `on_spent` is never called.
        sealer = Sealer(os.urandom, lambda: None)
        opener = Opener(limits.packet_bytes_preauth, lambda: None)
        if (tap := TAP.get()) is not None:
            sealer, opener = tap(role, sealer, opener)
        transport = Transport(sealer, limits)

        def broken(failure: SSHError) -> None:
            transport.fail(failure)  # at once: nobody else is to run into it before the connection's own task takes note
            end(failure)

        sealer.on_broken = broken
        supervisor = RekeySupervisor(
            negotiator=negotiator,
            phases=phases,
            transport=transport,
            limits=limits,
            us=us,
            random=os.urandom,
            bytes_received=lambda: opener.bytes_received,
            observer=note,
            news_in=news[0],
            news=news[1],
            keys_out=keys[0],
            transports_out=transports[0],
        )
        router = Router(phases, opener, negotiator, transport, limits, news[0], auth_messages[0])
        identification = IdentificationReader(role, limits)
        return cls(
            transport=transport,
            opener=opener,
            phases=phases,
            negotiator=negotiator,
            supervisor=supervisor,
            router=router,
            transports=transports[1],
            auth_messages=auth_messages[1],
            muxes_in=muxes[0],
            read=lambda: read_packets(stream, opener, router, identification, news[0], keys[1], muxes[1], phases),
            supervise=supervisor.supervise_keys,
        )
