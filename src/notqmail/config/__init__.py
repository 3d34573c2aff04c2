"""The configuration: one TOML file read into frozen values. Every default and unit stands here, nowhere else.

    quantity ──► listen, tls, auth, outbound, queue, local ──► file (the whole) ──► load (the door)

A time is "30s", "5m", "4h", "7d"; a size is "64KB", "50MB".
"""

from notqmail.config.auth import Argon2, Auth, Ban, Checkpassword, Dovecot, Pam, Submission, System
from notqmail.config.file import Addressing, Config, Domain
from notqmail.config.listen import Limits, Listen
from notqmail.config.load import SUBMISSION, load, parse
from notqmail.config.local import Dns, Local, Log, Web
from notqmail.config.outbound import Outbound, SmarthostLogin, To
from notqmail.config.quantity import (
    Endpoint,
    Seconds,
    Section,
    Size,
    endpoint,
    seconds,
)
from notqmail.config.queue import JournalSection, Mailbox, Queue
from notqmail.config.tls import Certificate, Tls

__all__ = [
    "SUBMISSION",
    "Addressing",
    "Argon2",
    "Auth",
    "Ban",
    "Certificate",
    "Checkpassword",
    "Config",
    "Dns",
    "Domain",
    "Dovecot",
    "Endpoint",
    "JournalSection",
    "Limits",
    "Listen",
    "Local",
    "Log",
    "Mailbox",
    "Outbound",
    "Pam",
    "Queue",
    "Seconds",
    "Section",
    "Size",
    "SmarthostLogin",
    "Submission",
    "System",
    "Tls",
    "To",
    "Web",
    "endpoint",
    "load",
    "parse",
    "seconds",
]
