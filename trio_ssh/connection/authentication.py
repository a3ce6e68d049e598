"""The two authentication tasks: `prove_identity` (client) and `check_identity` (server) drive the machines of `protocol`.

Each is given the `Transport` only when the first keys are in use, and what they give on, the mux, is the proof that they succeeded.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, runtime_checkable

import attrs
import trio

from ..errors import AuthenticationFailed, printable
from ..protocol.auth_client import (
    BannerReceived,
    ClientAuthentication,
    ExtensionsReceived,
    Granted,
    KeyAccepted,
    Refused,
    ServiceAccepted,
)
from ..protocol.auth_server import AuthAttempt, ExtensionsNoted, Hopeless, ServerAuthentication, ServiceWanted
from ..protocol.extensions import server_signature_algorithms
from .containment import containing
from .events import AuthAttempted, Observer
from .transport import Transport

_log = logging.getLogger("trio_ssh.authentication")


class Signer(Protocol):
    """A key that can sign, wherever its private half is."""

    @property
    def algorithms(self) -> Sequence[str]:
        """Signature algorithms, most wanted first."""

    @property
    def key_blob(self) -> bytes:
        """The public key in wire form."""

    @property
    def ask_first(self) -> bool:
        """Is signing dear (a passphrase, a touch), so that the server is asked whether it wants the key at all?"""

    async def sign(self, algorithm: str, data: bytes) -> bytes:
        """The signature in wire form."""


@attrs.frozen
class PasswordOffer:
    """A password to be asked for when its turn comes; None skips the method."""

    ask: Callable[[], Awaitable[str | None]]


Offer = Signer | PasswordOffer


@attrs.define(eq=False)
class ClientPlan:
    """What to try, in order; `banner` is told what the server wants shown."""

    username: str
    offers: Callable[[], Awaitable[Sequence[Offer]]]
    banner: Callable[[str], None] | None = None


@attrs.define(eq=False)
class IdentityProver:
    """One client authentication: the machine, its transport and inbox, and what has been tried."""

    machine: ClientAuthentication
    transport: Transport
    messages: trio.MemoryReceiveChannel[bytes]
    plan: ClientPlan
    observer: Observer | None
    signatures: Sequence[str]
    """The signature algorithms that may be used, most wanted first."""
    eager: bool = False
    """The server is known to take our first request right behind the service request: a round trip less."""
    _signature_algorithms: tuple[str, ...] | None = None
    _methods_left: tuple[str, ...] | None = None
    _partial_success: bool = False
    _tried: list[str] = attrs.field(factory=list)

    async def prove_identity(self) -> None:
        """Returns when the server has granted access. Raises `AuthenticationFailed` when nothing is left to try."""
        self.transport.send_nowait(self.machine.request_service())
        while not self.eager and not isinstance(await self._answer(), ServiceAccepted):
            pass
        offers = await self.plan.offers()
        while self.messages.statistics().current_buffer_used:
            await self._answer()  # an EXT_INFO that is here already has a say in the choice of algorithms
        # Before a person is asked for a password, or when there is nothing to try: which methods are there at all?
        has_key = any(not isinstance(offer, PasswordOffer) for offer in offers)
        if not has_key and await self._ask(self.machine.request_none(), "none"):
            return
        for offer in offers:
            granted = await (self._try_password(offer) if isinstance(offer, PasswordOffer) else self._try_key(offer))
            if granted:
                return
        raise self._failed()

    async def _try_password(self, offer: PasswordOffer) -> bool:
        if not self._takes("password"):
            return False
        password = await offer.ask()
        return password is not None and await self._ask(self.machine.request_password(password), "password")

    async def _try_key(self, signer: Signer) -> bool:
        algorithm = self._signature_algorithm(signer)
        if algorithm is None or not self._takes("publickey"):
            return False
        tried = f"publickey {algorithm}"
        if signer.ask_first and not await self._ask(self.machine.ask_about_key(algorithm, signer.key_blob), tried):
            return False
        signature = await signer.sign(algorithm, self.machine.bytes_to_sign(algorithm, signer.key_blob))
        return await self._ask(self.machine.request_publickey(algorithm, signer.key_blob, signature), tried)

    def _takes(self, method: str) -> bool:
        """Does the server, as far as we know, take this method?"""
        return self._methods_left is None or method in self._methods_left

    def _signature_algorithm(self, signer: Signer) -> str | None:
        """RFC 8308 §3.1: one that the server listed, if it listed any. Never a weaker one than we offer."""
        ours = [algorithm for algorithm in self.signatures if algorithm in signer.algorithms]
        for algorithm in ours:
            if self._signature_algorithms is None or algorithm in self._signature_algorithms:
                return algorithm
        why = "the server takes none of its algorithms" if ours else "none of its algorithms is among those to be used"
        self._tried.append(f"publickey {signer.algorithms[0]} (not tried: {why})")
        return None

    async def _ask(self, payload: bytes, tried: str) -> bool:
        """Send one request. True: granted, or, for a question about a key, welcome."""
        self.transport.send_nowait(payload)
        while True:
            event = await self._answer()
            if isinstance(event, KeyAccepted):
                self._observe(tried, "question")
                return True
            if isinstance(event, Granted):
                self._observe(tried, "granted")
                return True
            if isinstance(event, Refused):
                self._methods_left, self._partial_success = event.methods_left, event.partial_success
                self._tried.append(tried)
                self._observe(tried, "partial" if event.partial_success else "refused")
                return False

    async def _answer(self) -> object:
        """The next event; banners and extensions are taken care of here."""
        event = self.machine.receive(await self.messages.receive())
        if isinstance(event, BannerReceived) and self.plan.banner is not None:
            self.plan.banner(event.text)
        elif isinstance(event, ExtensionsReceived):
            self._signature_algorithms = server_signature_algorithms(event.extensions) or self._signature_algorithms
        return event

    def _observe(self, tried: str, outcome: str) -> None:
        if self.observer is not None:
            method, _, detail = tried.partition(" ")
            self.observer(AuthAttempted(self.machine.username, method, outcome, detail))

    def _failed(self) -> AuthenticationFailed:
        tried = ", ".join(self._tried) or "nothing"
        left = printable(",".join(self._methods_left or ())) or "nothing"
        more = "; the last try was right, but the server wants a further method" if self._partial_success else ""
        return AuthenticationFailed(
            f"the server did not let {printable(self.machine.username)!r} in: tried {tried}; it still takes {left}{more}",
            methods_left=self._methods_left or (),
            tried=self._tried,
            partial_success=self._partial_success,
        )


@attrs.frozen(kw_only=True)
class Verdict:
    """What an authentication policy says to one attempt: an explicit object, because "no exception" must never mean yes."""

    accepted: bool
    detail: str = ""
    """For the log; never sent."""


ACCEPT = Verdict(accepted=True)
REFUSE = Verdict(accepted=False)


@runtime_checkable
class SignaturesByUser(Protocol):
    """A policy that takes other signature algorithms of some users than of others may have this method, too.

    A client that can take it is told in an EXT_INFO of its own (RFC 8308 §2.4, ``ext-info-in-auth@openssh.com``).
    """

    def signature_algorithms(self, username: str, /) -> Sequence[str]:
        """Those taken of `username`; not a word about whether there is such a user should be in it."""


class Authenticator(Protocol):
    """A server's policy. An exception in it is a refusal."""

    @property
    def methods(self) -> Sequence[str]:
        """The methods to offer: ``publickey``, ``password``."""

    async def __call__(self, attempt: AuthAttempt, /) -> Verdict:
        """Decide one attempt."""


@attrs.define(eq=False)
class IdentityChecker:
    """One server authentication."""

    machine: ServerAuthentication
    transport: Transport
    messages: trio.MemoryReceiveChannel[bytes]
    policy: Authenticator
    observer: Observer | None
    granted: Callable[[str, bytes], None]
    """Called with the user's name and the SUCCESS payload: sends it and lets the connection protocol begin, in one synchronous act."""

    async def check_identity(self) -> None:
        """Returns when somebody was let in. Raises `RemoteProtocolError` when the client breaks a rule or tries too often."""
        while True:
            event = self.machine.receive(await self.messages.receive())
            if extensions := self.machine.take_extensions():
                self.transport.send_nowait(extensions)
            if isinstance(event, ServiceWanted):
                self.transport.send_nowait(event.reply)
            elif isinstance(event, Hopeless):
                await self._refuse(event.method, event.why, trio.current_time(), counts=event.counts)
            elif isinstance(event, AuthAttempt) and await self._decide(event):
                return
            elif isinstance(event, ExtensionsNoted):
                _log.debug("the client's extensions: %s", [printable(name) for name in event.extensions])

    async def _decide(self, attempt: AuthAttempt) -> bool:
        started = trio.current_time()
        verdict = await self._ask_policy(attempt)
        # A policy that could not be interrupted may answer behind the login deadline: too late is too late (hardening TRI-17).
        await trio.lowlevel.checkpoint_if_cancelled()
        question = attempt.method == "publickey" and not attempt.proven
        if not verdict.accepted:
            # A question about a key that will not do is no failed attempt: clients ask for each key they have.
            await self._refuse(attempt.method, verdict.detail, started, counts=not question)
            return False
        self._observe(attempt.method, "question" if question else "granted", verdict.detail)
        if question:
            self.transport.send_nowait(self.machine.key_would_do(attempt))
            return False
        self.granted(attempt.username, self.machine.grant())
        return True

    async def _ask_policy(self, attempt: AuthAttempt) -> Verdict:
        def report(error: BaseException) -> None:
            _log.error("the authentication policy failed; that is a refusal", exc_info=error)

        verdict: object = None
        with containing(report):
            verdict = await self.policy(attempt)
        return verdict if isinstance(verdict, Verdict) else REFUSE

    async def _refuse(self, method: str, why: str, started: float, *, counts: bool) -> None:
        self._observe(method, "refused", why)
        payload = self.machine.refuse(counts=counts)
        if counts:
            # Every refusal takes at least this long, whatever it was refused for (hardening B09).
            await trio.sleep_until(started + self.machine.limits.auth_failure_seconds)
        self.transport.send_nowait(payload)

    def _observe(self, method: str, outcome: str, detail: str) -> None:
        if self.observer is not None:
            self.observer(AuthAttempted(self.machine.username or "", method, outcome, detail))

