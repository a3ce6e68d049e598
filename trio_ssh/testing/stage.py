"""What pairs and raw peers use unless they are told otherwise: keys made for this process, a user, the cheapest algorithms."""

from __future__ import annotations

import attrs

from ..keys.key import PrivateKey
from ..protocol.negotiation import Algorithms

HOST_KEY = PrivateKey.generate()
USER_KEY = PrivateKey.generate()
USERNAME = "ada"
PASSWORD = "canary"
"""What a raw client says, so that a test can look for it where it must not be."""

QUICK = Algorithms(kex=("curve25519-sha256",))
"""The cheapest key exchange, for tests that make many. None of it goes to a thread, which a clock that jumps would not wait for."""


def of_host_key(algorithms: Algorithms, host_key: PrivateKey) -> Algorithms:
    """The same with the host key algorithms of this key."""
    return attrs.evolve(algorithms, host_keys=host_key.public_key.signature_algorithms)
