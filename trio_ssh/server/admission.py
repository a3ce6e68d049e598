"""Who may knock: decided from the peer's address alone, before a byte is read or a task is started for a connection.

In this order, each without waiting:

    penalised source ── all places taken ── the source has its share ── random early drop ── admitted, perhaps to wait its turn

A *place* is held from here to the login. Newcomers are dropped at random between `unauthenticated_drop_begin` and the full bound, as
OpenSSH's MaxStartups does, so that strangers who take places as fast as they become free leave some to others (hardening RES-01, B17). In
what is counted for that, the one other source that holds most places stands for one: a single source, which cannot hold more than its
share, is no reason to refuse anybody else (RES-04).

The rate of handshakes per source is kept by making connections wait, not by refusing them: a script that logs in twenty times in a row is
slowed down and not broken, and who waits has cost us a socket and no arithmetic (A13). Peers without an IP address, such as those of a
local socket or a memory stream, cannot be told apart: they have no source, and only the bound on all connections holds for them.
"""

from __future__ import annotations

import logging
import random
from collections import OrderedDict
from collections.abc import Callable

import attrs

from ..protocol.limits import Limits
from ..wire.addresses import IPAddress
from .penalties import Conduct, PenaltyBook
from .sources import Source, source_of

_log = logging.getLogger("trio_ssh.server")

SOURCES_MAX = 4096
"""Sources whose rate is kept at once. Each is forgotten within about a second; past the bound, the one that began least recently."""
LOG_SECONDS = 1.0
"""Between two log records about refusals."""

TOO_MANY = b"Exceeded MaxStartups\r\n"
NOT_NOW = b"Not allowed at this time\r\n"
"""What OpenSSH says, so that clients and tools know it."""


@attrs.frozen
class Refusal:
    """`line` is for the peer, `why` for the log."""

    line: bytes
    why: str


@attrs.define(eq=False)
class Place:
    """One connection's place among those that have not logged in yet. Serve it after `wait_seconds`."""

    source: Source | None = None
    wait_seconds: float = 0.0
    exempt: bool = True
    """No penalty is to be noted for it."""
    _give_back: Callable[[Source | None], None] | None = None

    @property
    def is_held(self) -> bool:
        """Has nobody logged in yet?"""
        return self._give_back is not None

    def leave(self) -> None:
        """Somebody is logged in, or nobody will be. Again: nothing."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back(self.source)


@attrs.define(eq=False)
class Admission:
    """What a server knows of the connections that have not logged in. `draw` gives a number from 0 up to 1, never 1."""

    limits: Limits = attrs.field(factory=Limits)
    draw: Callable[[], float] = random.random
    penalties: PenaltyBook | None = attrs.field(init=False)
    _places: int = 0
    _by_source: dict[Source, int] = attrs.field(factory=dict)
    """Without zeros: at most as many entries as there are places."""
    _pace: Pace | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        rules, per_second = self.limits.source_penalties, self.limits.handshakes_per_source_per_second
        self.penalties = None if rules is None else PenaltyBook(rules)
        self._pace = None if per_second is None else Pace(per_second)

    def admit(self, address: IPAddress | None, now: float) -> Place | Refusal:
        """Decide about a new connection; a place is to be left, whatever happens. `now` is on trio's clock."""
        source = None if address is None else source_of(address, self.limits)
        exempt = source is None or self.penalties is None or self.penalties.is_exempt(address)
        if not exempt and (why := self._penalised(source, now)) is not None:
            return Refusal(NOT_NOW, why)
        if (why := self._crowded(source)) is not None:
            return Refusal(TOO_MANY, why)
        self._places += 1
        if source is None:
            return Place(give_back=self._give_back)
        self._by_source[source] = self._by_source.get(source, 0) + 1
        wait_seconds = 0.0 if self._pace is None else self._pace.begin(source, now)
        return Place(source, wait_seconds, exempt, self._give_back)

    def _penalised(self, source: Source | None, now: float) -> str | None:
        return None if source is None or self.penalties is None else self.penalties.refuses(source, now)

    def _crowded(self, source: Source | None) -> str | None:
        """Why there is no place for one more of this source; None where there is one."""
        limits, places = self.limits, self._places
        if places >= limits.unauthenticated_connections:
            return f"{places} others are logging in"
        if source is not None and limits.unauthenticated_per_source is not None:
            own = self._by_source.get(source, 0)
            if own >= limits.unauthenticated_per_source:
                return f"{own} others of its source are logging in"
        if places >= limits.unauthenticated_drop_begin:
            crowd = self._crowd(source)
            if self.draw() < self._drop_probability(crowd):
                return f"{crowd} others are logging in, and it was drawn"
        return None

    def _crowd(self, source: Source | None) -> int:
        """The places held, of which the one other source that holds most counts as one."""
        most = max((places for other, places in self._by_source.items() if other != source), default=1)
        return self._places - most + 1

    def _drop_probability(self, crowd: int) -> float:
        limits = self.limits
        begin, rate = limits.unauthenticated_drop_begin, limits.unauthenticated_drop_percent / 100
        if crowd < begin:
            return 0.0
        return rate + (1 - rate) * (crowd - begin) / (limits.unauthenticated_connections - begin)

    def _give_back(self, source: Source | None) -> None:
        self._places -= 1
        if source is None:
            return
        left = self._by_source[source] - 1
        if left:
            self._by_source[source] = left
        else:
            del self._by_source[source]

    def judge(self, place: Place, conduct: Conduct, error: BaseException, now: float, peer: str) -> None:
        """`error` has ended a connection. While it still held its place, that is held against its source; `peer` is for the log."""
        if self.penalties is None or place.source is None or not place.is_held:
            return
        misdeed = conduct.misdeed(error, self.limits, now)
        seconds = self.penalties.note(place.source, misdeed, now)
        if seconds:
            _log.warning("%s: its source is refused for %.0f s: it %s", peer, seconds, misdeed.value)

    def statistics(self) -> tuple[int, int]:
        """Places held, and sources that are remembered for their rate."""
        return self._places, 0 if self._pace is None else len(self._pace)


@attrs.define(eq=False)
class Pace:
    """When each source may begin its next handshake: at most `per_second` in any second, a quarter of them at once.

    Of a source only one number is kept: when it would have made up for all that it began, were they evenly spaced. Once that is past,
    nothing need be remembered of it.
    """

    per_second: int
    sources_max: int = SOURCES_MAX
    _even_at: OrderedDict[Source, float] = attrs.field(factory=OrderedDict)
    """The source that began something last stands last."""

    def begin(self, source: Source, now: float) -> float:
        """How many seconds to wait before beginning one more, which is counted as begun."""
        at_once = max(1, self.per_second // 4)
        # With n at once and r a second, n + r - 1 can begin within a second.
        gap = 1 / (self.per_second - at_once + 1)
        even_at = max(self._even_at.get(source, now), now)
        self._even_at[source] = even_at + gap
        self._even_at.move_to_end(source)
        self._forget(now)
        return max(0.0, even_at - (at_once - 1) * gap - now)

    def _forget(self, now: float) -> None:
        """Those at the head that have made up; more, if there are too many."""
        even_at = self._even_at
        while even_at and (len(even_at) > self.sources_max or next(iter(even_at.values())) <= now):
            even_at.popitem(last=False)

    def __len__(self) -> int:
        return len(self._even_at)


@attrs.define(eq=False)
class RefusalLog:
    """Refusals can come by the thousand a second: a record now and then says how many there were."""

    _next_at: float = float("-inf")
    _unsaid: int = 0

    def note(self, peer: str, why: str, now: float) -> None:
        """`why` is ours, `peer` an address."""
        if now < self._next_at:
            self._unsaid += 1
            return
        _log.warning("%s: refused: %s%s", peer, why, f"; and {self._unsaid} more before it" if self._unsaid else "")
        self._next_at, self._unsaid = now + LOG_SECONDS, 0
