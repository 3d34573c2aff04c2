"""What a seed means: how long, who, how much, and which misfortunes. All of it is decided before anything runs."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from notqmail.config import Config, Domain, Limits, Listen, Outbound, Queue, Seconds, Size
from tests.simulation.chance import Chance, spread
from tests.simulation.ledger import Letter

HOSTNAME, HOME = "mx.example.org", "example.org"
SERVER = "203.0.113.1"
MAILBOXES = tuple(f"{name}@{HOME}" for name in ("alice", "bob", "carol", "dave", "postmaster"))
PROVIDERS = 6  # hosts out there
DOMAINS: Mapping[str, tuple[int, ...]] = {
    # which providers are its MX, best first
    "d0.example": (0,),
    "d1.example": (1, 2),
    "d2.example": (2, 1),
    "d3.example": (3,),
    "d4.example": (4, 5),
    "d5.example": (4, 5),
}
# domains with one set of MX are one destination
GROUPS = {domain: ",".join(map(str, sorted(providers))) for domain, providers in DOMAINS.items()}
ODD_DOMAINS = ("null.example", "nowhere.example", "noaddress.example", "direct.example")
ALIASES: Mapping[str, tuple[str, ...]] = {
    f"both@{HOME}": (f"alice@{HOME}", f"bob@{HOME}"),
    f"away@{HOME}": ("fred@d0.example",),
    f"list@{HOME}": (f"carol@{HOME}", "gus@d1.example", "hal@d2.example", "ida@d3.example"),
    f"wide@{HOME}": tuple(f"u{n}@d{n % 6}.example" for n in range(12)),
    f"lost@{HOME}": ("x@null.example", "y@nowhere.example", "z@noaddress.example"),
    f"direct@{HOME}": ("jo@direct.example",),
}


@dataclass(frozen=True, slots=True)
class Misfortune:
    """Something that begins at `at` and is over `seconds` later (virtual seconds). `what` names it in chaos.py, `who`
    is a provider or a client by number, where it means one."""

    at: float
    what: str
    seconds: float = 0.0
    who: int = 0


@dataclass(frozen=True, slots=True)
class Sending:
    """A letter with the moment at which it is handed in, and by which client; -1 is a program on the machine."""

    at: float
    client: int
    letter: Letter


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that will happen, as far as chance decides it beforehand."""

    seed: int
    seconds: float
    config: Config
    tempers: tuple[str, ...]
    moods: tuple[str, ...]
    sendings: tuple[Sending, ...]
    misfortunes: tuple[Misfortune, ...]


def make_plan(
    seed: int, tempers: tuple[str, ...], moods: tuple[str, ...], ills: tuple[str, ...]
) -> Plan:
    """Derive the plan of a seed from what there is to choose from."""
    chance = Chance(seed)
    draw = chance.of("plan")
    seconds = spread(draw, 3600, 14 * 86400)
    clients = tuple(draw.choice(tempers) for _ in range(draw.randint(1, 5)))
    return Plan(
        seed,
        seconds,
        _config(chance.of("config")),
        clients,
        tuple(draw.choice(moods) for _ in range(PROVIDERS)),
        tuple(_sendings(chance.of("letters"), seconds, len(clients))),
        tuple(_misfortunes(chance.of("misfortunes"), seconds, len(clients), ills)),
    )


def leaves(recipient: str) -> tuple[str, ...]:
    """Whom a recipient stands for in the end."""
    targets = ALIASES.get(recipient.lower())
    if targets is None:
        return (recipient.lower(),)
    return tuple(leaf for target in targets for leaf in leaves(target))


def _config(draw: random.Random) -> Config:
    days = spread(draw, 0.5, 7)
    small = draw.random() < 0.3
    queue = Queue(
        lifetime=Seconds(days * 86400),
        bounce_lifetime=Seconds(max(0.3, days / 3) * 86400),
        delay_notice=Seconds(draw.choice((0, 3600, 4 * 3600))),
        inline=Size(draw.choice((500, 65536))),
        active=draw.choice((10, 20)) if small else 2000,
        local_concurrency=draw.choice((1, 2)) if small else 100,
        remote_concurrency=draw.choice((2, 5)) if small else 100,
        destination_concurrency=draw.choice((1, 2, 20)),
    )
    outbound = Outbound(
        reuse=draw.choice((1, 3, 100)),
        idle=Seconds(draw.choice((0.5, 5, 60))),
        attempt_timeout=Seconds(draw.choice((600, 7200))),
        ipv6=draw.random() < 0.5,
    )
    listen = Listen(
        name="mx",
        kind="mx",
        bind=(f"{SERVER}:25",),
        greet_delay=Seconds(draw.choice((0, 0, 0, 5))),
        limits=Limits(
            connections=draw.choice((3, 2000)),
            connections_per_ipv4=draw.choice((2, 100)),
            command_timeout=Seconds(draw.choice((60, 300))),
            data_timeout=Seconds(draw.choice((60, 180))),
        ),
    )
    return Config(
        hostname=HOSTNAME,
        domain=(Domain(name=HOME),),
        postmaster=f"postmaster@{HOME}",
        listen=(listen,),
        queue=queue,
        outbound=outbound,
        path="simulation",
    )


def _sendings(draw: random.Random, seconds: float, clients: int) -> list[Sending]:
    made = []
    bursts = [draw.random() * seconds for _ in range(3)]
    for number in range(1, draw.randint(5, 40) + 1):
        burst = draw.random() < 0.3
        at = min(seconds, draw.choice(bursts) + draw.random()) if burst else draw.random() * seconds
        program = draw.random() < 0.3
        client = -1 if program else draw.randrange(clients)
        made.append(Sending(at, client, _letter(draw, number, program)))
    return sorted(made, key=lambda sending: sending.at)


def _letter(draw: random.Random, number: int, program: bool) -> Letter:
    outside = [
        "fred@d0.example",
        "gus@d1.example",
        "kim@d3.example",
        "lee@d4.example",
        "mo@d5.example",
    ]
    odd = [f"who@{domain}" for domain in ODD_DOMAINS]
    sender = draw.choice(["", *MAILBOXES[:4], *outside, *outside, *odd])
    known = [*MAILBOXES, *ALIASES, *ALIASES]
    unknown = [f"nobody@{HOME}", "x@elsewhere.example"]
    choices = [*known, *outside, *odd] if program else [*known, *known, *unknown]
    many = draw.choice((1, 1, 1, 2, 3, 8))
    recipients = tuple(dict.fromkeys(_spelled(draw, draw.choice(choices)) for _ in range(many)))
    size = int(spread(draw, 10, 300_000 if draw.random() < 0.1 else 3000))
    return Letter(
        number,
        sender,
        recipients,
        _content(draw, number, sender, size),
        requiretls=not program and draw.random() < 0.05,
    )


def _spelled(draw: random.Random, recipient: str) -> str:
    """Sometimes people shout."""
    return recipient.upper() if recipient.endswith(HOME) and draw.random() < 0.1 else recipient


def _content(draw: random.Random, number: int, sender: str, size: int) -> bytes:
    head = f"From: <{sender or f'ghost@{HOME}'}>\r\nSubject: letter {number}\r\nMessage-ID: <{number}@simulation>\r\nX-Simulation: {number}\r\n\r\n"
    words = draw.randbytes(min(size, 400)).hex()
    lines = [
        draw.choice(("", ".", "..", "From ")) + words[start : start + 70]
        for start in range(0, len(words), 70)
    ]
    body = "\r\n".join(lines) + "\r\n"
    return (head + body * max(1, size // len(body))).encode()


_LENGTHS: Mapping[str, tuple[float, float]] = {
    # how long a misfortune takes, seconds; others take no time
    "crash": (0.5, 3600),
    "restart": (0.5, 600),
    "crash loop": (0.1, 60),
    "server unplugged": (5, 7200),
    "peer unplugged": (5, 86400),
    "peer down": (5, 86400),
    "peer mood": (60, 2 * 86400),
    "peer slow": (60, 86400),
    "client unplugged": (5, 3600),
    "dns fault": (10, 86400),
    "disk crash": (0.5, 600),
    "bad disk": (10, 7200),
    "hold": (10, 86400),
}


def _misfortunes(
    draw: random.Random, seconds: float, clients: int, ills: tuple[str, ...]
) -> list[Misfortune]:
    often = draw.choice((0, 3, 10, 25))
    made = []
    for _ in range(draw.randint(0, often)):
        what = draw.choice(ills)
        shortest, longest = _LENGTHS.get(what, (1, 1))
        length = spread(draw, shortest, longest)
        who = draw.randrange(clients if what.startswith("client") else PROVIDERS)
        made.append(Misfortune(draw.random() * seconds, what, length, who))
    return sorted(made, key=lambda misfortune: misfortune.at)
