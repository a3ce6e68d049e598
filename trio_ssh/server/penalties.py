"""Penalties for sources that misbehave (OpenSSH's PerSourcePenalties; hardening RES-04).

`Conduct` watches one connection until its login and says what it did; `PenaltyBook` adds up what all connections of a source did and says
who is refused. The book is bounded: a source is forgotten when its penalty is over, and with too many the one whose penalty ends first.
"""

from __future__ import annotations

import heapq
from enum import Enum

import attrs

from ..connection.authenticator import Verdict
from ..connection.events import AuthAttempted, Event, Observer
from ..errors import RemoteProtocolError, SSHError
from ..protocol.limits import Limits
from ..protocol.source_penalties import SourcePenalties
from ..wire.addresses import IPAddress
from .sources import Source

UNKNOWN_USER = Verdict(accepted=False, detail="there is no such user")
"""For a policy: as `REFUSE`, and the source has `invalid_user_seconds` for it. The client cannot tell them apart."""
NOT_WELCOME = Verdict(accepted=False, detail="the peer is not welcome")
"""For a policy: as `REFUSE`, and the source has `refused_seconds` for it."""


class Misdeed(Enum):
    """What penalties are for; the value continues "the source …"."""

    CRASH = "made serving it fail"
    AUTH_FAILURE = "failed to log in"
    INVALID_USER = "tried to log in as an unknown user"
    NO_AUTH = "left without having tried to log in"
    GRACE_EXCEEDED = "took too long to log in"
    REFUSED = "was told not to come"

    def seconds(self, rules: SourcePenalties) -> float:
        """What the rules say."""
        return {
            Misdeed.CRASH: rules.crash_seconds,
            Misdeed.AUTH_FAILURE: rules.auth_failure_seconds,
            Misdeed.INVALID_USER: rules.invalid_user_seconds,
            Misdeed.NO_AUTH: rules.no_auth_seconds,
            Misdeed.GRACE_EXCEEDED: rules.grace_exceeded_seconds,
            Misdeed.REFUSED: rules.refused_seconds,
        }[self]


@attrs.define(eq=False)
class Conduct:
    """What one connection did before anybody was logged in."""

    started: float
    tried: bool = False
    verdicts: set[Verdict] = attrs.field(factory=set)
    """Of `UNKNOWN_USER` and `NOT_WELCOME`, those that the policy gave."""

    def watching(self, observer: Observer | None) -> Observer:
        """It sees what it saw; what happens is noted here."""

        def observe(event: Event) -> None:
            self.observe(event)
            if observer is not None:
                observer(event)

        return observe

    def note_verdict(self, verdict: Verdict) -> None:
        """What a policy has said."""
        if verdict in (UNKNOWN_USER, NOT_WELCOME):
            self.verdicts.add(verdict)

    def observe(self, event: Event) -> None:
        """What never came to the policy was an attempt too, but for the usual question what methods there are."""
        if isinstance(event, AuthAttempted) and event.outcome == "refused" and event.method != "none":
            self.tried = True

    def misdeed(self, cause: BaseException, limits: Limits, now: float) -> Misdeed:
        """How a connection that nobody logged in on is to be judged; `cause` ended it."""
        if not isinstance(cause, SSHError):
            return Misdeed.CRASH
        if NOT_WELCOME in self.verdicts:
            return Misdeed.REFUSED
        if UNKNOWN_USER in self.verdicts:
            return Misdeed.INVALID_USER
        held = now - self.started
        # Our deadlines before the login are the protocol's errors where they are shorter than the login's own.
        first_deadline = min(limits.identification_seconds, limits.kex_seconds)
        if held >= limits.login_seconds or (isinstance(cause, RemoteProtocolError) and held >= first_deadline):
            return Misdeed.GRACE_EXCEEDED
        return Misdeed.AUTH_FAILURE if self.tried else Misdeed.NO_AUTH


@attrs.define(eq=False)
class PenaltyBook:
    """Who is refused, and until when. Times are on trio's clock."""

    rules: SourcePenalties
    _families: dict[int, _Family] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        rules = self.rules
        self._families = {
            4: _Family(rules, rules.sources_ipv4, rules.deny_all_ipv4),
            6: _Family(rules, rules.sources_ipv6, rules.deny_all_ipv6),
        }

    def is_exempt(self, address: IPAddress | None) -> bool:
        """Is nothing ever held against it?"""
        return address is None or self.rules.exempt.matches(address)

    def note(self, source: Source, misdeed: Misdeed, now: float) -> float:
        """Add a penalty. Gives for how many seconds the source is refused if that begins with it, else 0."""
        return self._families[source.version].add(source.network, misdeed, now)

    def refuses(self, source: Source, now: float) -> str | None:
        """Why a source is refused, for the log; None where it is not."""
        return self._families[source.version].refuses(source.network, now)

    def __len__(self) -> int:
        return sum(len(family.penalties) for family in self._families.values())


@attrs.define(eq=False)
class _Penalty:
    until: float
    misdeed: Misdeed
    active: bool = False


@attrs.define(eq=False)
class _Family:
    """The penalties of one IP version, by network."""

    rules: SourcePenalties
    sources_max: int
    deny_all: bool
    penalties: dict[int, _Penalty] = attrs.field(factory=dict)
    _ends: list[tuple[float, int]] = attrs.field(factory=list)
    """A heap of (until, network). Behind a penalty that grew its older entries stay until they come up, or become too many."""

    def refuses(self, network: int, now: float) -> str | None:
        self._expire(now)
        if self.deny_all and len(self.penalties) >= self.sources_max:
            return f"{len(self.penalties)} sources have penalties"
        found = self.penalties.get(network)
        return f"its source {found.misdeed.value}" if found is not None and found.active else None

    def add(self, network: int, misdeed: Misdeed, now: float) -> float:
        seconds = misdeed.seconds(self.rules)
        self._expire(now)
        found = self.penalties.get(network)
        if seconds <= 0 or (found is None and self.deny_all and len(self.penalties) >= self.sources_max):
            return 0.0
        if found is None:
            found = self.penalties[network] = _Penalty(now, misdeed)
        found.until = min(found.until + seconds, now + self.rules.max_seconds)
        found.misdeed = misdeed
        begins = not found.active and found.until - now > self.rules.min_seconds
        found.active |= begins
        self._remember(found.until, network)
        return found.until - now if begins else 0.0

    def _remember(self, until: float, network: int) -> None:
        heapq.heappush(self._ends, (until, network))
        while len(self.penalties) > self.sources_max:
            self._pop()
        if len(self._ends) > 2 * len(self.penalties) + 64:
            self._ends = [(penalty.until, network) for network, penalty in self.penalties.items()]
            heapq.heapify(self._ends)

    def _expire(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            self._pop()

    def _pop(self) -> None:
        """Forget what ends first, unless that entry is out of date."""
        until, network = heapq.heappop(self._ends)
        found = self.penalties.get(network)
        if found is not None and found.until == until:
            del self.penalties[network]
