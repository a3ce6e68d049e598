"""The client's authentication task: `prove_identity` tries what the user has, in order, until the server is content.

Theory of operation
- One request is out at a time; the machine of `protocol` refuses every answer to what was not asked.
- Which offer is next depends on what the server still takes. An offer whose method it does not take now waits: it may be wanted behind
  another one (partial success, RFC 4252 §5.1). After a partial success keys that were refused before get another chance, as the server's
  next demand is another one; the key that succeeded does not.
- A server disconnects behind so many failures, so that keys leave the last try to what a person can give (`Limits.auth_failures`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs
import trio

from ..errors import AgentError, AuthenticationFailed, printable
from ..keys.certificates import CERTIFICATE_ALGORITHMS
from ..protocol.auth_client import (
    Asked,
    BannerReceived,
    ClientAuthentication,
    ExtensionsReceived,
    Granted,
    KeyAccepted,
    NewPasswordWanted,
    Refused,
    ServiceAccepted,
)
from ..protocol.extensions import server_signature_algorithms, takes_host_bound_requests
from .events import AuthAttempted, Observer
from .offers import KeyboardInteractiveOffer, NotNow, Offer, PasswordOffer, SessionBinding, Signer
from .transport import Transport


@attrs.define(eq=False)
class ClientPlan:
    """What to try, in order; `banner` is told what the server wants shown."""

    username: str
    offers: Callable[[SessionBinding], Awaitable[Sequence[Offer]]]
    banner: Callable[[str], None] | None = None
    allow_none: bool = True
    """Take it that the server lets us in without any proof of who we are."""


@attrs.define(eq=False)
class _Try:
    """One offer, and what has become of it."""

    offer: Offer
    is_over: bool = False
    has_succeeded: bool = False

    @property
    def method(self) -> str:
        if isinstance(self.offer, PasswordOffer):
            return "password"
        return "keyboard-interactive" if isinstance(self.offer, KeyboardInteractiveOffer) else "publickey"


@attrs.define(eq=False)
class IdentityProver:
    """One client authentication: the machine, its transport and inbox, and what has been tried."""

    machine: ClientAuthentication
    transport: Transport
    messages: trio.MemoryReceiveChannel[bytes]
    plan: ClientPlan
    binding: SessionBinding
    observer: Observer | None
    signatures: Sequence[str]
    """The signature algorithms that may be used, most wanted first."""
    eager: bool = False
    """The server is known to take our first request right behind the service request: a round trip less."""
    methods_passed: tuple[str, ...] = ()
    """What succeeded, in order."""
    _tries: list[_Try] = attrs.field(factory=list)
    _signature_algorithms: tuple[str, ...] | None = None
    _methods_left: tuple[str, ...] | None = None
    _partial_success: bool = False
    _failures: int = 0
    _tried: list[str] = attrs.field(factory=list)

    async def prove_identity(self) -> None:
        """Returns when the server has granted access. Raises `AuthenticationFailed` when nothing is left to try."""
        self.transport.send_nowait(self.machine.request_service())
        while not self.eager and not isinstance(await self._answer(), ServiceAccepted):
            pass
        self._tries = [_Try(offer) for offer in await self.plan.offers(self.binding)]
        await self._read_what_is_here()  # an EXT_INFO that is here already has a say in the choice of algorithms
        # Before a person is asked for a password, or when there is nothing to try: which methods are there at all?
        begins_with_key = bool(self._tries) and self._tries[0].method == "publickey"
        if not begins_with_key and await self._ask(self.machine.request_none(), "none"):
            return
        while (one := self._next()) is not None:
            one.is_over = True
            before = len(self.methods_passed)
            if await self._attempt(one):
                return
            if not self._takes(one.method):
                one.is_over = False  # the server did not take its method at all: it may yet
            if len(self.methods_passed) > before:
                one.has_succeeded = True
                for other in self._tries:
                    other.is_over = other.has_succeeded or (other.is_over and other.method != "publickey")
        raise self._failed()

    def _next(self) -> _Try | None:
        """The first offer that has not been tried and that the server takes."""
        open_tries = [one for one in self._tries if not one.is_over and self._takes(one.method)]
        left = self.machine.limits.auth_failures - self._failures
        if left <= 1 and any(one.method != "publickey" for one in open_tries):
            for one in [one for one in open_tries if one.method == "publickey"]:
                one.is_over = True
                self._tried.append(f"{_shown(one.offer)} (not tried: the server takes {self.machine.limits.auth_failures} tries only)")
                open_tries.remove(one)
        return open_tries[0] if open_tries and left > 0 else None

    def _takes(self, method: str) -> bool:
        """Does the server, as far as we know, take this method?"""
        return self._methods_left is None or method in self._methods_left

    async def _attempt(self, one: _Try) -> bool:
        """True: we are in."""
        offer = one.offer
        if isinstance(offer, PasswordOffer):
            return await self._try_password(offer)
        if isinstance(offer, KeyboardInteractiveOffer):
            return await self._try_questions(offer)
        return await self._try_key(offer)

    # -- methods -----------------------------------------------------------------------------------------------------------------

    async def _try_password(self, offer: PasswordOffer) -> bool:
        password = await offer.ask()
        if password is None:
            return False
        event = await self._send(self.machine.request_password(password))
        while isinstance(event, NewPasswordWanted):
            new = await offer.change(event.prompt) if offer.change is not None else None
            if new is None:
                self._tried.append("password (right, but the server wants it changed)")
                return False
            event = await self._send(self.machine.request_password_change(password, new))
        return self._judge(event, "password")

    async def _try_questions(self, offer: KeyboardInteractiveOffer) -> bool:
        event = await self._send(self.machine.request_keyboard_interactive(offer.submethods))
        while isinstance(event, Asked):
            answers = await offer.answer(event)
            await self._read_what_is_here()  # a grant that did not wait for our answers is no grant (hardening B02)
            if answers is None:
                self._tried.append("keyboard-interactive (given up)")
                return False
            event = await self._send(self.machine.answer(tuple(answers)))
        return self._judge(event, "keyboard-interactive")

    async def _try_key(self, signer: Signer) -> bool:
        algorithm = self._signature_algorithm(signer)
        if algorithm is None:
            return False
        machine, blob = self.machine, signer.key_blob
        tried = f"publickey {algorithm}"
        if signer.ask_first and not await self._ask(machine.ask_about_key(algorithm, blob), tried):
            return False
        try:
            signature = await signer.sign(algorithm, machine.bytes_to_sign(algorithm, blob))
        except (NotNow, AgentError) as error:
            self._tried.append(f"{tried} (not tried: {printable(str(error), 200)})")
            return False
        return await self._ask(machine.request_publickey(algorithm, blob, signature), tried)

    def _signature_algorithm(self, signer: Signer) -> str | None:
        """RFC 8308 §3.1: one that the server listed, if it listed any. Never a weaker one than we offer."""
        ours = [algorithm for algorithm in self.signatures if algorithm in signer.algorithms]
        for algorithm in ours:
            # Those of certificates are listed by the plain ones that they sign with.
            names = (algorithm, CERTIFICATE_ALGORITHMS.get(algorithm, algorithm))
            if self._signature_algorithms is None or any(name in self._signature_algorithms for name in names):
                return algorithm
        why = "the server takes none of its algorithms" if ours else "none of its algorithms is among those to be used"
        self._tried.append(f"{_shown(signer)} (not tried: {why})")
        return None

    # -- requests and answers ----------------------------------------------------------------------------------------------------

    async def _ask(self, payload: bytes, tried: str) -> bool:
        """Send one request. True: granted, or, for a question about a key, welcome."""
        return self._judge(await self._send(payload), tried)

    async def _send(self, payload: bytes) -> object:
        """Send one request. Gives what it comes to: banners and extensions are taken care of."""
        self.transport.send_nowait(payload)
        while isinstance(event := await self._answer(), (BannerReceived, ExtensionsReceived, ServiceAccepted)):
            pass
        return event

    def _judge(self, event: object, tried: str) -> bool:
        if isinstance(event, KeyAccepted):
            self._observe(tried, "question")
            return True
        if isinstance(event, Granted):
            self._observe(tried, "granted")
            self._granted(event)
            return True
        assert isinstance(event, Refused)
        self._methods_left, self._partial_success = event.methods_left, event.partial_success
        self._tried.append(tried)
        if event.partial_success:
            self.methods_passed += (self.machine.plain_method,)
        elif tried != "none":
            self._failures += 1
        self._observe(tried, "partial" if event.partial_success else "refused")
        return False

    def _granted(self, event: Granted) -> None:
        """Raises `AuthenticationFailed` where the server wanted no proof, and that is not to be taken (hardening B02)."""
        self.methods_passed += (event.method,)
        if not self.plan.allow_none and set(self.methods_passed) == {"none"}:
            raise AuthenticationFailed(
                f"the server let {printable(self.machine.username)!r} in without any proof of who it is, which was not to be taken "
                "(allow_none=False): it may not be the server that you mean",
                tried=self._tried,
            )

    async def _read_what_is_here(self) -> None:
        while self.messages.statistics().current_buffer_used:
            await self._answer()

    async def _answer(self) -> object:
        """The next event; banners and extensions are taken care of here."""
        event = self.machine.receive(await self.messages.receive())
        if isinstance(event, BannerReceived) and self.plan.banner is not None:
            self.plan.banner(event.text)
        elif isinstance(event, ExtensionsReceived):
            self._signature_algorithms = server_signature_algorithms(event.extensions) or self._signature_algorithms
            if takes_host_bound_requests(event.extensions):
                self.machine.host_key_blob = self.binding.host_key_blob
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


def _shown(offer: Offer) -> str:
    return f"publickey {offer.algorithms[0]}" if not isinstance(offer, (PasswordOffer, KeyboardInteractiveOffer)) else "password"
