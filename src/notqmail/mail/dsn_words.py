"""The words of delivery reports: what happened, to whom, and what a person can do about it.

Also what makes a peer's words fit to be quoted: `clean`.
"""

import re
import textwrap
from enum import StrEnum

from notqmail.mail.outcome import Action, Outcome

MAX_REPLY = 600  # characters kept of a reply
MAX_NAME = 255  # characters kept of a server's name, an envelope id, an address type
WIDTH = 76

_NOT_ASCII = re.compile(r"[^\x20-\x7e]")


class Kind(StrEnum):
    """What a report tells. DOUBLE is a failed report, told to the postmaster."""

    FAILURE = "failure"
    DELAY = "delay"
    SUCCESS = "success"
    DOUBLE = "double bounce"


SUBJECT = {
    Kind.FAILURE: "Undelivered mail: your message could not be delivered",
    Kind.DELAY: "Delayed mail: your message is not delivered yet",
    Kind.SUCCESS: "Delivery report: your message has been delivered",
    Kind.DOUBLE: "Double bounce: a delivery report could not be delivered",
}

_OPENING = {
    Kind.FAILURE: "Your message could not be delivered to the recipients below. It will not be tried again.",
    Kind.DELAY: "Your message has not been delivered yet to the recipients below. You need not do anything: "
    "this server keeps trying until {until}, and tells you if it gives up.",
    Kind.SUCCESS: "You asked to be told: your message has been delivered, or handed on, to the recipients below.",
    Kind.DOUBLE: "A message without a return address, such as a delivery report, could not be delivered. There is "
    "nobody else to tell, so it is told to you, the postmaster. It will not be tried again.",
}

# What a person can do, by subject and detail of the status (RFC 3463 §3); the longer match counts.
_ADVICE = {
    "1": "Check the address for typing errors.",
    "1.1": "There is no such mailbox. Check the address for typing errors.",
    "1.2": "There is no such mail domain. Check the part after the @ for typing errors.",
    "1.10": "This domain takes no mail at all. Check the part after the @ for typing errors.",
    "2": "Something is wrong with the mailbox. Reach the recipient in another way.",
    "2.1": "The mailbox is switched off. Reach the recipient in another way.",
    "2.2": "The mailbox is full. Try again later, or reach the recipient in another way.",
    "2.3": "The message is too large for this mailbox. Send less, or a link to it.",
    "3": "The other mail system has a problem. Try again later.",
    "3.4": "The message is too large for the other system. Send less, or a link to it.",
    "4": "The other server cannot be reached, or the way to it is broken. Try again later.",
    "4.6": "The mail went round in a loop. Tell the postmaster of the recipient's domain.",
    "4.7": "The message was not taken in all this time. Try again later, or reach the recipient in another way.",
    "6.7": "The recipient's server takes no international addresses. Ask for an address in plain ASCII.",
    "7": "The other server refuses the message by its rules. Its answer may say why; show it to your postmaster.",
}

_DONE = {
    Action.DELIVERED: "Delivered.",
    Action.RELAYED: "Handed on to a server that sends no delivery reports.",
    Action.EXPANDED: "Delivered to a list of recipients.",
}

_STATUS_CLASS = {Action.FAILED: "5", Action.DELAYED: "4"}  # the rest are class 2


def status(outcome: Outcome) -> str:
    """Give the status code (RFC 3463) in the class that fits the action.

    A recipient that failed on a transient reply was given up after too long: 5.4.7, delivery time expired.
    """
    if expired(outcome):
        return "5.4.7"
    wanted = _STATUS_CLASS.get(outcome.action, "2")
    _, _, rest = outcome.reply.enhanced.partition(".")
    return f"{wanted}.{rest or '0.0'}"


def expired(outcome: Outcome) -> bool:
    """Say whether this recipient was given up because time ran out, not because a server refused."""
    return outcome.action is Action.FAILED and outcome.reply.transient


def advice(status_code: str) -> str:
    """Give one sentence on what to do about a failure with this status, or ""."""
    _, subject, detail = status_code.split(".")
    return _ADVICE.get(f"{subject}.{detail}") or _ADVICE.get(subject, "")


def clean(text: str, limit: int = MAX_REPLY, *, utf8: bool = False) -> str:
    """Make peer text safe for a header or a person: one line, no controls, ASCII unless `utf8`, bounded."""
    printable = (sign if sign.isprintable() else " " for sign in text[: 4 * limit])
    line = " ".join("".join(printable).split())
    line = line if utf8 else _NOT_ASCII.sub("?", line)
    return line if len(line) <= limit else line[: limit - 1] + ("…" if utf8 else "~")


def opening(kind: Kind, until: str) -> str:
    """Give the sentence that says what happened; `until` is a date, for a delay."""
    return _OPENING[kind].format(until=until)


def story(outcome: Outcome, age: float) -> str:
    """Tell what became of one recipient of a message `age` seconds old."""
    address = outcome.recipient.address
    first = clean((outcome.recipient.orcpt or "").partition(";")[2], MAX_NAME, utf8=True)
    asked_for = (
        f" (for {first})" if first and first not in (str(address), address.display()) else ""
    )
    lines = [f"<{address.display()}>{asked_for}"]
    if outcome.action in _DONE:
        return "\n".join([*lines, f"  {_DONE[outcome.action]}"])
    if expired(outcome):
        lines.append(f"  Given up after {span(age)}. The last trouble was:")
    if outcome.remote_mta:
        said = clean(str(outcome.reply), utf8=True)
        lines.append(f"  {clean(outcome.remote_mta, MAX_NAME)} said: {said}")
    else:
        lines.append(f"  {clean(outcome.reply.text, utf8=True)} (#{status(outcome)})")
    if outcome.action is Action.FAILED and (hint := advice(status(outcome))):
        lines.append(f"  {hint}")
    return "\n".join(lines)


def span(seconds: float) -> str:
    """Write a span of time in the unit a person would use."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"


def wrap(paragraph: str) -> str:
    """Break lines at WIDTH, keeping their indent; CRLF between them."""
    wrapped = (
        textwrap.wrap(
            line,
            WIDTH,
            subsequent_indent="  " if line.startswith("  ") else "",
            break_on_hyphens=False,
        )
        for line in paragraph.split("\n")
    )
    return "\r\n".join(line for lines in wrapped for line in lines)
