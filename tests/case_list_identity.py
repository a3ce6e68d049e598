"""What keys, trust and logins must stand, case by case: the part of `case_list` that concerns who is who.

``SM`` bad inputs by state, ``B`` attacks on authentication, ``E`` attacks on what lies about: keys, agents, files, names and logs,
``PAIN`` what users of other stacks suffer from.
"""

from __future__ import annotations

AUTHENTICATION = {
    "SM-089": "a method that is unknown or not offered: FAILURE with the list of those that are",
    "SM-090": "another service than the connection behind authentication: DISCONNECT 7",
    "SM-091": "another user or service in a later request: DISCONNECT 2",
    "SM-092": "a request cut at any byte, or a string longer than it: DISCONNECT 2, nothing is looked up",
    "SM-093": "a user name that is too long, unprintable or not UTF-8: FAILURE; with a NUL: DISCONNECT 2",
    "SM-094": "bytes behind a whole request: DISCONNECT 2",
    "SM-095": "a key that is none, of another type than said, or of an unknown one: FAILURE",
    "SM-096": "a signature that is empty, huge or of trailing bytes: FAILURE; bytes behind it: DISCONNECT 2",
    "SM-097": "the sixth failure, the 65th request of any kind: DISCONNECT 2",
    "SM-098": "`none` as the first request: FAILURE that is not counted",
    "SM-099": "`none` behind a partial success: FAILURE that is counted",
    "SM-100": "answers that nobody asked for: DISCONNECT 2",
    "SM-101": "more or fewer answers than questions: FAILURE, the policy is cancelled",
    "SM-102": "answers behind a new request: DISCONNECT 2",
    "SM-103": "a client that says what only servers say: DISCONNECT 2, and nobody is in",
    "SM-104": "requests behind the success: dropped, up to a point",
    "SM-105": "channels before the success: DISCONNECT 2, never kept for later",
    "SM-106": "to a client: success before a request, twice, in a rekey: DISCONNECT 2",
    "SM-107": "to a client: a failure that answers nothing: DISCONNECT 2; methods with junk names: skipped",
    "SM-108": "to a client: banners of a MiB, or ten thousand of them: bounded; behind the success: dropped",
    "SM-109": "to a client: another key or algorithm is welcome, or one that has signed: DISCONNECT 2",
    "SM-110": "no success by the login's deadline, wherever it stands: closed",
}

LOGINS = {
    "B01": "a peer that says the other role's messages, in any state: DISCONNECT 2, and nobody is in",
    "B02": "a server that lets in before or without any proof: refused, or told; nothing is answered behind it",
    "B03": "a second factor under another name: DISCONNECT 2",
    "B04": "many keys asked about, one signs: the policy learns that one only; a client takes no other for its own",
    "B05": "requests sent ahead of slow answers: decided one by one, nothing of one holds for another",
    "B06": "a second factor widens nothing: forced command, source address and the rest hold; an unknown option refuses",
    "B07": "the counter of tries cannot be gone round: duplicate devices, questions about keys, partial successes",
    "B08": "counts of prompts and answers that lie: refused before anything is allocated",
    "B09": "who exists is told by no answer, no byte and no time",
    "B10": "a password of 200 KiB: refused, never hashed",
    "B11": "methods that nobody configured: FAILURE, never an exception; a client skips those it does not know",
    "B12": "keys of hostile sizes and values, of users and of hosts: refused before any mathematics",
    "B13": "algorithm named, key and signature must be of one kind: all other combinations fail, SHA-1 among them",
    "B14": "bad certificates of users and of hosts, of every kind: refused; a plain key of the same holder stands for itself",
    "B15": "a security key that nobody touched or verified: refused unless that was allowed",
    "B16": "the deadline at any step of a login or a dial: closed, and whatever ends late grants nothing",
    "B17": "connections that say nothing: bounded in number and time, by source, dropped at random before all places are taken",
    "B18": "a line of authorized_keys that is not understood whole: skipped whole",
    "B19": "a question about a key proves nothing; what one factor limits stays so whatever the other is",
    "B20": "a server that is never content: the client stops",
    "B21": "a server that asks for ever, or for what it should not: nobody answers but who was asked, for sixteen rounds",
    "B22": "a signature of another connection or for another host: refused",
    "B23": "an empty password: refused by default; one with a NUL: given to the policy as it is",
}

SURROUNDINGS = {
    "E01": "an agent asked to load a library: refused; agents are not forwarded unless asked for",
    "E02": "an agent that answers nonsense, too much or too little: a typed error, bounded memory",
    "E03": "constraints of keys in an agent: whole or refused, never weakened; every session is bound",
    "E04": "known_hosts with any nonsense in it: bad lines are skipped with their numbers, revoked always wins",
    "E05": "patterns full of stars: matched in linear time",
    "E06": "a changed host key with checking off: no password, no answers, no forwarding",
    "E07": "key files that are damaged, costly, huge or none: one typed error each, in bounded time",
    "E08": "private keys are written with their mode from the first byte on; links are not followed",
    "E09": "random numbers: another draw in each child and thread, from the system only",
    "E10": "signatures with another form of the same numbers: refused, and never an identity",
    "E11": "hosts and users with a shell's or an option's words in them: refused, or given on as they are",
    "E12": "a process that cannot be started: the request is refused, nothing is signalled",
    "E13": "user names with path or shell in them: in no path",
    "E14": "configuration files that are devices, huge, nested or circular: one error each; none is read unasked",
    "E15": "the log: bounded lines in a flood of failures, and no secret at any level",
}

TRUST_PAINS = {
    "PAIN-21": "the key type that is known is asked for: no false alarm over a changed key",
    "PAIN-22": "trust on first use: shown, asked, saved; nobody need switch checking off",
    "PAIN-23": "host certificates: a known authority vouches for hosts that were never seen",
    "PAIN-25": "what a security key's signature says of its use arrives at the policy",
    "PAIN-26": "whatever is public says its types",
}
