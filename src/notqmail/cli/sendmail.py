"""The program `sendmail`, as other programs call it: the options of sendmail(8), the exit statuses of sysexits.h.

It hands in a message from standard input as `notqmail inject` does. Options that steer another sendmail's inside are
taken and mean nothing here. It does not speak SMTP (-bs) and is no daemon (-bd).
"""

import getopt
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import get_args

from notqmail.cli import run as notqmail
from notqmail.cli.command import find_config
from notqmail.cli.submission import NoRecipientsError, NotAcceptedError, Wanted, submit
from notqmail.config import load
from notqmail.mail.completion import MessageError
from notqmail.mail.envelope import Ret
from notqmail.mail.errors import ConfigError, NotqmailError
from notqmail.mail.reply import Reply
from notqmail.system.submission import NotifyWord

USAGE = """\
usage: sendmail [-t] [-i] [-f SENDER] [-F NAME] [-N NOTIFY] [-R full|hdrs] [-V ENVID] [-C FILE] [RCPT]... < MESSAGE

  -t          To, Cc and Bcc name recipients too
  -i, -oi     a line with only a dot does not end the message
  -f SENDER   the envelope sender, "<>" for none; also -r
  -F NAME     your name, where From is missing
  -N NOTIFY   never, or some of success,failure,delay: what to be told of
  -R RET      full or hdrs: how much of the message a failure report returns
  -V ENVID    what reports shall call this message
  -C FILE     configuration file (else $NOTQMAIL_CONFIG, ./notqmail.toml, /etc/notqmail/notqmail.toml)
  -bm         read a message from standard input (the default)
  -bp         list the queue: notqmail queue list
  -bi         rebuild the alias database: nothing to do, changes are live
Accepted and without effect: -B -d -e -G -h -L -m -n -O -o -p -U -v -X.
-bs and -bd are not available: speak SMTP to port 25, run notqmail serve.
example: printf 'Subject: hello\\n\\nHello\\n' | sendmail -i bob@example.net
"""

_OPTIONS = "B:b:C:d:e:F:f:Gh:iL:mN:nO:o:p:qR:r:tUV:vX:"


class Status(IntEnum):
    """sysexits.h."""

    OK = 0
    USAGE = 64
    DATAERR = 65
    NOUSER = 67
    UNAVAILABLE = 69
    SOFTWARE = 70
    TEMPFAIL = 75
    CONFIG = 78


class UsageError(Exception):
    """The options say nothing that can be done."""


# the exit status of a refusal, by the beginning of its enhanced code
_REFUSALS = (
    ("5.1.", Status.NOUSER),
    ("5.5.1", Status.USAGE),
    ("5.5.4", Status.USAGE),
    ("5.6.", Status.DATAERR),
)


def main() -> None:
    """The program `sendmail`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit status."""
    if "--help" in arguments:
        sys.stdout.write(USAGE)
        return Status.OK
    try:
        return _run(arguments)
    except (getopt.GetoptError, UsageError) as error:
        return _fail(Status.USAGE, f"{error}; see sendmail --help")
    except NoRecipientsError as error:
        return _fail(Status.USAGE, str(error))
    except MessageError as error:
        return _fail(Status.DATAERR, str(error))
    except NotAcceptedError as error:
        return _fail(Status.TEMPFAIL, str(error))
    except ConfigError as error:
        return _fail(Status.CONFIG, str(error))
    except NotqmailError as error:
        return _fail(Status.SOFTWARE, str(error))
    except OSError as error:
        return _fail(Status.TEMPFAIL, f"the message cannot be read: {error}")
    except Exception as error:
        return _fail(Status.SOFTWARE, f"unexpected {type(error).__name__}: {error}")


def _run(arguments: Sequence[str]) -> int:
    options, recipients = getopt.gnu_getopt(list(arguments), _OPTIONS)
    said = {name[1:]: value for name, value in options}  # of one given twice, the last counts
    if "q" in said:
        raise UsageError("-q is not needed: the server hurries by `notqmail queue retry --all`")
    config = find_config(said.get("C"))
    match said.get("b", "m"):
        case "m":
            dots = "i" in said or ("-o", "i") in options
            wanted = _wanted(said, recipients, dot_ends=not dots)
            return _status(submit(load(config), wanted, sys.stdin.buffer))
        case "p":
            return notqmail(["queue", "list", "-c", str(config)])
        case "i":
            return Status.OK
        case other:
            raise UsageError(f"-b{other} is not available")


def _wanted(said: Mapping[str, str], recipients: Sequence[str], *, dot_ends: bool) -> Wanted:
    sender = said.get("f", said.get("r"))
    return Wanted(
        recipients,
        sender="" if sender == "<>" else sender,
        from_header="t" in said,
        name=said.get("F", ""),
        notify=_notify(said["N"]) if "N" in said else None,
        ret=_ret(said["R"]) if "R" in said else None,
        envid=said.get("V"),
        dot_ends=dot_ends,
    )


def _notify(text: str) -> tuple[NotifyWord, ...]:
    words = text.upper().split(",")
    chosen = tuple(word for word in get_args(NotifyWord) if word in words)
    if len(chosen) != len(words):
        raise UsageError(f"-N {text}: never, or some of success,failure,delay")
    return chosen


def _ret(text: str) -> Ret:
    try:
        return Ret(text.upper())
    except ValueError:
        raise UsageError(f"-R {text}: full or hdrs") from None


def _status(reply: Reply) -> Status:
    if reply.positive:
        return Status.OK
    status = Status.TEMPFAIL if reply.transient else Status.UNAVAILABLE
    if reply.permanent:
        status = next((s for begin, s in _REFUSALS if reply.enhanced.startswith(begin)), status)
    return _fail(status, str(reply))


def _fail(status: Status, sentence: str) -> Status:
    line = " ".join(sentence.split())
    sys.stderr.write(f"sendmail: {line}\n")
    return status
