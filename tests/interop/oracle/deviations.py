"""Where trio_ssh and OpenSSH do different things with the same input: the one list, which `test_oracle` proves and the documentation shows.

What OpenSSH does is what 9.2 (Debian's 9.2p1) does; what is known of later versions stands beside it.
"""

from __future__ import annotations

import attrs

from tests.interop.oracle.outcomes import ACCEPTED, CLOSED, IGNORED, UNIMPLEMENTED, Outcome, answered, disconnected

MEASURED = (9, 2)
"""The version of OpenSSH that `Deviation.openssh` is of."""


@attrs.frozen
class Deviation:
    """One difference. The scripts that show it are named when they are played to `servers`, to `clients`, or to `both`."""

    case: str
    what: str
    openssh: Outcome = attrs.field(kw_only=True)
    ours: Outcome = attrs.field(kw_only=True)
    why: str = attrs.field(kw_only=True)
    both: str = attrs.field(default="", kw_only=True)
    servers: str = attrs.field(default="", kw_only=True)
    clients: str = attrs.field(default="", kw_only=True)
    later: str = attrs.field(default="", kw_only=True)
    """What is known of later versions of OpenSSH."""

    @property
    def server_scripts(self) -> list[str]:
        return self.both.split() + self.servers.split()

    @property
    def client_scripts(self) -> list[str]:
        return self.both.split() + self.clients.split()


REFUSED = disconnected(2)
NO_USE = "An honest peer never sends this; going on would mean to guess what it meant."

# fmt: off
DEVIATIONS: tuple[Deviation, ...] = (
    # -- identification and packets
    Deviation(
        "SM-010", "an identification of 256 bytes", openssh=ACCEPTED, ours=CLOSED, both="sm_010-256",
        why="RFC 4253 §4.2 allows 255 bytes, CR LF included.",
    ),
    Deviation(
        "SM-012", "bytes in the identification that are no printable US-ASCII", openssh=ACCEPTED, ours=CLOSED,
        both="sm_012-utf8 sm_012-tab", why="RFC 4253 §4.2; `Limits.identification_eight_bit` takes those from 0x80 up.",
    ),
    Deviation(
        "SM-015", "1,024 lines before a server's identification", openssh=CLOSED, ours=ACCEPTED, clients="sm_015-1024",
        why="OpenSSH counts the identification among its 1,024 lines; we count the lines before it.",
    ),
    Deviation(
        "SM-021", "a packet of more than 64 KiB before the login", openssh=IGNORED, ours=REFUSED, both="sm_021-70_000-gcm",
        servers="sm_021-70_000-clear sm_021-70_000-chacha sm_021-70_000-etm sm_021-70_000-ctr",
        why="A stranger may not make us keep 256 KiB: before the login nothing needs more than 64 KiB.",
    ),
    Deviation(
        "SM-031", "a thousand bytes that inflate to 1 MiB", openssh=IGNORED, ours=disconnected(6), both="sm_031-bomb",
        why="What a packet inflates to has the same bound as a packet.",
    ),
    Deviation(
        "SM-033", "IGNORE whose string is longer than its packet", openssh=IGNORED, ours=REFUSED, both="sm_033-ignore",
        servers="sm_033-ignore-before_service", why="What is malformed is a fault, even in a message whose content nobody wants.",
    ),
    # -- negotiation
    Deviation(
        "SM-036", "KEXINIT twice in the first exchange, without strict key exchange", openssh=UNIMPLEMENTED, ours=REFUSED,
        both="sm_036-lax", why="Which of the two would enter the exchange hash is not defined.",
    ),
    Deviation(
        "SM-041", "a name in a KEXINIT that is not US-ASCII", openssh=ACCEPTED, ours=REFUSED, both="sm_041-utf8",
        why="RFC 4251 §5 and §6: names are printable US-ASCII.",
    ),
    Deviation(
        "SM-042", "a name in a KEXINIT of more than 64 characters", openssh=ACCEPTED, ours=REFUSED, both="sm_042-65",
        why="RFC 4251 §6 allows 64; `Limits.kexinit_name_bytes` can be set higher.",
    ),
    Deviation(
        "SM-044", "more than 1,024 names or 16 KiB in one list of a KEXINIT", openssh=ACCEPTED, ours=REFUSED, both="sm_044-names",
        servers="sm_044-bytes",
        why="Matching lists costs time that a stranger may not make us spend; no implementation has a hundred algorithms.",
    ),
    Deviation(
        "SM-045", "nothing in common", openssh=CLOSED, ours=disconnected(3),
        both="sm_045-kex sm_045-host_key sm_045-cipher sm_045-mac sm_045-compression",
        why="The peer is told why: RFC 4253 §11.1 has a reason for it.",
    ),
    Deviation(
        "SM-051", "a wrong guess whose packet has a number outside key exchange", openssh=CLOSED, ours=ACCEPTED,
        servers="sm_051-other_number", why="RFC 4253 §7 has the packet behind a wrong guess ignored, whatever it is.",
    ),
    # -- key exchange
    Deviation(
        "SM-054", "5, 6, 7, 21, 30 or 31 before KEXINIT, without strict key exchange", openssh=UNIMPLEMENTED, ours=REFUSED,
        servers="sm_054-service_request_lax sm_054-service_accept_lax sm_054-ext_info_lax "
        "sm_054-newkeys_lax sm_054-kex_init_lax sm_054-kex_reply_lax", why=NO_USE,
    ),
    Deviation(
        "SM-057", "5, 6, 7, 21 or 31 where the method's message is due, without strict key exchange", openssh=UNIMPLEMENTED,
        ours=REFUSED, both="sm_057-service_accept", servers="sm_057-service_request sm_057-ext_info sm_057-newkeys sm_057-kex_reply",
        why="Only 2, 3 and 4 may stand in an exchange (RFC 4253 §7.1).",
    ),
    Deviation(
        "SM-060", "a number of no key exchange method, without strict key exchange", openssh=UNIMPLEMENTED, ours=REFUSED,
        both="sm_060-22_lax", servers="sm_060-29_lax sm_060-35_lax sm_060-49_lax",
        why="Both sides have agreed on the method, and with it on its numbers.",
    ),
    Deviation(
        "SM-066", "a global request behind the peer's own KEXINIT of a rekey", openssh=answered(82), ours=REFUSED,
        both="sm_066-global_request", later="10.4 and later disconnect",
        why="RFC 4253 §7.1: nothing but key exchange and 1 to 4 may follow a KEXINIT.",
    ),
    Deviation(
        "SM-066", "channel data behind the peer's own KEXINIT of a rekey", openssh=IGNORED, ours=REFUSED, both="sm_066-data",
        later="10.4 and later disconnect", why="As above; that OpenSSH takes the data is not seen in its answers.",
    ),
    Deviation(
        "SM-072", "NEWKEYS with no exchange under way", openssh=UNIMPLEMENTED, ours=REFUSED, both="sm_072",
        servers="sm_072-before_service", why=NO_USE,
    ),
    Deviation(
        "SM-073", "a key exchange method's message with no exchange under way", openssh=UNIMPLEMENTED, ours=REFUSED, both="sm_073-30",
        servers="sm_073-30_before_service sm_073-31 sm_073-32 sm_073-33 sm_073-34", why=NO_USE,
    ),
    Deviation(
        "SM-075", "KEXINIT twice in a rekey", openssh=UNIMPLEMENTED, ours=REFUSED, both="sm_075",
        why="As in the first exchange: it is not defined which of the two counts.",
    ),
    Deviation(
        "SM-076", "a client's KEXINIT between the first exchange and the login", openssh=UNIMPLEMENTED, ours=REFUSED,
        servers="sm_076-before_service sm_076-before_login",
        why="No rekey before the login: neither does one, and the refusal should be plain to the client.",
    ),
    # -- services and EXT_INFO
    Deviation(
        "SM-078", "a request for ssh-connection before the login", openssh=REFUSED, ours=disconnected(7), servers="sm_078",
        why="RFC 4253 §10 names this reason: service not available.",
    ),
    Deviation(
        "SM-079", "a request for an unknown service", openssh=REFUSED, ours=disconnected(7), servers="sm_079-unknown sm_079-large",
        why="As above.",
    ),
    Deviation(
        "SM-082", "SERVICE_ACCEPT from a client", openssh=UNIMPLEMENTED, ours=REFUSED, servers="sm_082 sm_082-in_auth",
        why="Only a server may send it.",
    ),
    Deviation(
        "SM-083", "SERVICE_ACCEPT again during the login", openssh=answered(50), ours=REFUSED, clients="sm_083-again",
        why="It was not asked for again; OpenSSH's client begins its login anew.",
    ),
    Deviation(
        "SM-083", "SERVICE_ACCEPT for a service that was not asked for", openssh=ACCEPTED, ours=REFUSED, clients="sm_083-other",
        why="RFC 4253 §10: it repeats the name that was asked for.",
    ),
    Deviation(
        "SM-084", "USERAUTH_REQUEST before SERVICE_REQUEST", openssh=UNIMPLEMENTED, ours=REFUSED, servers="sm_084",
        why="RFC 4253 §10: a service is there when it was asked for.",
    ),
    Deviation(
        "SM-085", "EXT_INFO as a client's first packet under the first keys", openssh=UNIMPLEMENTED, ours=IGNORED,
        servers="sm_085-first sm_086-64 sm_086-unknown", later="later versions take one",
        why="RFC 8308 §2.4 allows it there, and we have announced that we take it.",
    ),
    Deviation(
        "SM-085", "EXT_INFO from a client at another time, or twice", openssh=UNIMPLEMENTED, ours=REFUSED,
        servers="sm_085-not_first sm_085-twice", why="RFC 8308 §2.4 says when a client may send it: once, first.",
    ),
    Deviation(
        "SM-085", "a server's EXT_INFO during the login", openssh=CLOSED, ours=IGNORED, clients="sm_085-in_auth",
        later="later versions take it", why="RFC 8308 §2.4 allows a second one there.",
    ),
    Deviation(
        "SM-085", "a server's EXT_INFO three times", openssh=UNIMPLEMENTED, ours=REFUSED, clients="sm_085-3",
        why="RFC 8308 §2.4 allows two.",
    ),
    Deviation(
        "SM-086", "EXT_INFO of a client with too many entries, a wrong count or a NUL in a known value", openssh=UNIMPLEMENTED,
        ours=REFUSED, servers="sm_086-65 sm_086-1024 sm_086-too_few sm_086-too_many sm_086-nul",
        later="later versions refuse 1,024 entries and more", why="9.2 never looks into it; we do, and what is malformed is a fault.",
    ),
    Deviation(
        "SM-086", "EXT_INFO of a server with 65 entries", openssh=IGNORED, ours=REFUSED, clients="sm_086-65",
        why="Not one in ten is in use anywhere: `Limits.ext_info_entries`.",
    ),
    Deviation(
        "SM-087", "EXT_INFO after the login or a rekey", openssh=UNIMPLEMENTED, ours=REFUSED, both="sm_087", servers="sm_087-rekey",
        why="RFC 8308 §2.4 ends its time with the login.",
    ),
    # -- authentication
    Deviation(
        "SM-090", "a first request that wants another service than ssh-connection behind the login", openssh=answered(51),
        ours=disconnected(7), servers="sm_090-first", why="RFC 4252 §5 lets a server disconnect; no later request could succeed.",
    ),
    Deviation(
        "SM-090", "a later request that wants another service", openssh=REFUSED, ours=disconnected(7), servers="sm_090 sm_091-service",
        why="As above: the reason says what is wrong with it.",
    ),
    Deviation(
        "SM-093", "a user name that ends in a NUL", openssh=answered(51), ours=REFUSED, servers="sm_093-nul_last",
        why="A NUL anywhere in a name is an attempt to have it read in two ways; OpenSSH forgives one at the end.",
    ),
    Deviation(
        "SM-097", "six questions about keys that are not known", openssh=REFUSED, ours=answered(51), servers="sm_097-questions",
        why="A client with many keys may ask about each; only attempts count as failures, and all requests count to 64.",
    ),
    Deviation(
        "SM-097", "65 questions about a key that is known", openssh=answered(60), ours=REFUSED, servers="sm_097-total",
        why="`Limits.auth_requests` bounds requests of any kind; OpenSSH's bound is 1,024.",
    ),
    Deviation(
        "SM-100", "INFO_RESPONSE to nothing", openssh=UNIMPLEMENTED, ours=REFUSED, servers="sm_100", why=NO_USE,
    ),
    Deviation(
        "SM-103", "51, 52, 53 or 60 from a client", openssh=UNIMPLEMENTED, ours=REFUSED,
        servers="sm_103-failure sm_103-success sm_103-banner sm_103-pk_ok",
        why="A client that claims success is an attack; nothing goes on behind one.",
    ),
    Deviation(
        "SM-104", "USERAUTH_REQUEST after the login", openssh=UNIMPLEMENTED, ours=IGNORED, servers="sm_104-1",
        why="RFC 4252 §5.3: such requests are ignored without an answer.",
    ),
    Deviation(
        "SM-104", "129 of them", openssh=UNIMPLEMENTED, ours=REFUSED, servers="sm_104-129",
        why="What was sent ahead of the success has come by then: `Limits.auth_requests_after_success`.",
    ),
    Deviation(
        "SM-105", "a message of the connection protocol before the login", openssh=UNIMPLEMENTED, ours=REFUSED,
        servers="sm_105-open sm_105-global_request", why="Whoever sends it ahead counts on its being obeyed later; it never is.",
    ),
    Deviation(
        "SM-106", "USERAUTH_SUCCESS twice", openssh=UNIMPLEMENTED, ours=REFUSED, clients="sm_106-twice", why=NO_USE,
    ),
    Deviation(
        "SM-108", "a banner of 200,000 bytes; 17 banners", openssh=IGNORED, ours=REFUSED, clients="sm_108-large sm_108-many",
        why="`Limits.banner_bytes` and `Limits.banners`: a server that is not trusted yet may not fill the screen.",
    ),
    Deviation(
        "SM-108", "a banner after the login", openssh=UNIMPLEMENTED, ours=IGNORED, clients="sm_108-late",
        why="It may have been under way; there is nothing to tell the server.",
    ),
    # -- connection protocol
    Deviation(
        "SM-114", "tcpip-forward of port 65536, of an address that is none, of one with a NUL", openssh=answered(81), ours=answered(82),
        servers="sm_114-65536 sm_114-junk sm_114-nul", why="What is not an address and a port cannot be listened on.",
    ),
    Deviation(
        "SM-117", "a channel of an unknown type, to a server", openssh=answered(92, 2), ours=answered(92, 3),
        servers="sm_117 sm_118-large", why="RFC 4254 §5.1 has this reason: unknown channel type.",
    ),
    Deviation(
        "SM-117", "a channel of an unknown type, to a client", openssh=answered(92, 1), ours=answered(92, 3), clients="sm_117",
        why="As above.",
    ),
    Deviation(
        "SM-118", "a channel type that is not US-ASCII, to a server", openssh=answered(92, 2), ours=REFUSED, servers="sm_118-utf8",
        why="RFC 4251 §6: it is malformed, not unknown.",
    ),
    Deviation(
        "SM-118", "a channel type that is not US-ASCII, to a client", openssh=answered(92, 1), ours=REFUSED, clients="sm_118-utf8",
        why="As above.",
    ),
    Deviation(
        "SM-120", "a channel with a maximum packet size of 0", openssh=answered(91), ours=answered(92, 2), servers="sm_120-packet_0",
        why="Nothing could ever be sent in it.",
    ),
    Deviation(
        "SM-121", "a channel with the number of another that is open", openssh=ACCEPTED, ours=REFUSED, servers="sm_121",
        why="The client could not tell the two channels' answers apart, so it is not meant.",
    ),
    Deviation(
        "SM-122", "the 11th session", openssh=answered(92, 2), ours=answered(92, 4), servers="sm_122-11",
        why="RFC 4254 §5.1 has this reason: resource shortage.",
    ),
    Deviation(
        "SM-123", "an x11 or agent channel, to a server", openssh=answered(92, 2), ours=answered(92, 1),
        servers="sm_123-x11 sm_123-agent", why="The type is known and prohibited.",
    ),
    Deviation(
        "SM-131", "a request in a channel that is not there, to a client", openssh=IGNORED, ours=REFUSED, clients="sm_131-never",
        why="Clients and servers keep the same rule here.",
    ),
    Deviation(
        "SM-132", "data in a channel that the client has asked for and is not given yet", openssh=IGNORED, ours=REFUSED,
        clients="sm_132", why="RFC 4254 §5.1: before its confirmation there is no channel to send in.",
    ),
    Deviation(
        "SM-135", "one byte of data more than the window", openssh=ACCEPTED, ours=REFUSED, servers="sm_135-1",
        why="RFC 4254 §5.2; the window is what bounds our memory. OpenSSH forgives a tenth of it.",
    ),
    Deviation(
        "SM-136", "more data in a packet than our maximum", openssh=ACCEPTED, ours=REFUSED, both="sm_136",
        why="RFC 4254 §5.2. OpenSSH says so in its log and goes on.",
    ),
    Deviation(
        "SM-142", "data after EOF", openssh=IGNORED, ours=REFUSED, both="sm_142",
        why="RFC 4254 §5.3: the application has been told that no more will come.",
    ),
    Deviation(
        "SM-147", "data or EOF after the peer's own CLOSE", openssh=IGNORED, ours=REFUSED, servers="sm_147-data sm_147-eof",
        why="RFC 4254 §5.3: CLOSE is the last message of its sender.",
    ),
    Deviation(
        "SM-147", "a request after the peer's own CLOSE", openssh=answered(100), ours=REFUSED, servers="sm_147-request",
        why="As above.",
    ),
    Deviation(
        "SM-151", "a second terminal for one session", openssh=REFUSED, ours=answered(100), servers="sm_151-twice",
        why="One refused request is no reason to end other channels.",
    ),
    Deviation(
        "SM-152", "a variable whose name has an equals sign", openssh=answered(99), ours=answered(100), servers="sm_152-equals",
        why="It would be another variable by the time that a program reads it.",
    ),
    Deviation(
        "SM-152", "a variable whose name has a NUL", openssh=CLOSED, ours=answered(100), servers="sm_152-nul",
        why="One refused request is no reason to end other channels.",
    ),
    Deviation(
        "SM-153", "a change of the window's size where there is no terminal", openssh=answered(99), ours=answered(100),
        servers="sm_153-window", why="There is nothing whose size could change.",
    ),
    Deviation(
        "SM-154", "a second exit-status", openssh=IGNORED, ours=REFUSED, clients="sm_154-twice",
        why="A process ends once; which of the two is right is not defined.",
    ),
    # -- messages that nobody knows
    Deviation(
        "SM-158", "a message number from 194 up after the login", openssh=REFUSED, ours=UNIMPLEMENTED, both="sm_158-194",
        servers="sm_158-255", why="RFC 4253 §11.4: an unknown message is answered by UNIMPLEMENTED.",
    ),
    Deviation(
        "SM-158", "PING after the login", openssh=REFUSED, ours=answered(193), both="sm_158-ping", later="9.5 and later answer it",
        why="We know ping@openssh.com and 9.2 does not.",
    ),
    Deviation(
        "SM-159", "an unknown message number to a server before the login", openssh=UNIMPLEMENTED, ours=REFUSED,
        servers="sm_159-8 sm_159-19 sm_159-54 sm_159-59 sm_159-83 sm_159-89 "
        "sm_159-101 sm_159-127 sm_159-128 sm_159-191 sm_159-54_in_auth sm_159-191_in_auth",
        why="There is no extension that would need it, and strangers get no answers they have no use for.",
    ),
    Deviation(
        "SM-161", "PING before the login", openssh=REFUSED, ours=IGNORED, servers="sm_161-early", later="9.5 and later know it",
        why="It belongs to an extension that we know, and is answered after the login only.",
    ),
    Deviation(
        "SM-162", "PONG to nothing", openssh=REFUSED, ours=IGNORED, both="sm_162", later="9.5 and later know it",
        why="As with PING: 9.2 does not know the message.",
    ),
)
# fmt: on
