"""What a reload replaces: configuration, directory, router and pipelines, together and at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from notqmail.config import SUBMISSION, Config, Limits, Listen, Submission, endpoint
from notqmail.mail.envelope import Recipient
from notqmail.mail.idn import canonical_domain
from notqmail.mail.message import Message
from notqmail.mail.received import injected_field, received_field
from notqmail.mail.sending import SendingLimits
from notqmail.policy.account_limits import AccountLimits
from notqmail.policy.complete_header import CompleteHeader
from notqmail.policy.early_talker import EarlyTalker
from notqmail.policy.exempt import Exemptions
from notqmail.policy.header_text import ReadHeader
from notqmail.policy.helo import HeloSyntax
from notqmail.policy.loops import Loops
from notqmail.policy.pipeline import Pipeline, nobody
from notqmail.policy.recipients import Recipients
from notqmail.policy.relay_guard import RelayGuard
from notqmail.policy.require_auth import RequireAuth
from notqmail.policy.require_tls import RequireTls
from notqmail.policy.sender_owned import SenderOwned
from notqmail.policy.trace import Trace
from notqmail.policy.transaction import Transaction
from notqmail.policy.well_formed import WellFormed
from notqmail.ports import Clock, Directory, Sending
from notqmail.queue.ownership import Ownership
from notqmail.queue.route import Router
from notqmail.queue.submit import LISTENER as LOCAL

IsOurs = Callable[[IPv4Address | IPv6Address], bool]


@dataclass(frozen=True, slots=True)
class Rules:
    """What judges and routes mail. `pipelines` by the name of their listener."""

    config: Config
    directory: Directory
    router: Router
    pipelines: Mapping[str, Pipeline]


def make_rules(
    config: Config,
    directory: Directory,
    clock: Clock,
    reference: Callable[[], str],
    is_ours: IsOurs,
    *,
    sending: Sending | None = None,
) -> Rules:
    """Put the stages of each listener in order; `reference` names refusals, `sending` counts what accounts send (None:
    no mail is to come through these)."""
    router = Router(directory, config, is_ours)
    guard, spared = RelayGuard(router.is_local), Exemptions(router.is_local)
    hostname = canonical_domain(config.hostname)
    trace = Trace(_received_writer(hostname, config.submission))
    check = config.submission.check_sender
    sender_owned = SenderOwned(
        Ownership(router, directory, config),
        envelope=check != "off",
        header=check == "envelope and header",
    )

    def pipeline(
        stages: Sequence[object],
        budget: float,
        exempt: Callable[[Transaction, Recipient], bool] = spared,
    ) -> Pipeline:
        return Pipeline(stages, clock, guard, exempt=exempt, reference=reference, budget=budget)

    def mx(listen: Listen) -> Pipeline:
        return pipeline(
            [
                EarlyTalker(),
                *([] if listen.helo == "off" else [HeloSyntax(strict=listen.helo == "strict")]),
                Recipients(router.judge),
                ReadHeader(),
                Loops(listen.limits.hops, router.is_local),
                trace,
            ],
            listen.limits.stage_timeout,
        )

    def submission(listen: Listen) -> Pipeline:
        return pipeline(
            [
                RequireTls(),
                RequireAuth(),
                ReadHeader(),
                WellFormed(),
                sender_owned,
                Recipients(router.judge),
                CompleteHeader(hostname),
                Loops(listen.limits.hops, router.is_local),
                *([] if sending is None else [AccountLimits(sending, _limits(config.submission))]),
                trace,
            ],
            listen.limits.stage_timeout,
            nobody,
        )

    def of(listen: Listen) -> Pipeline:
        return submission(listen) if listen.kind in SUBMISSION else mx(listen)

    local = pipeline(
        [ReadHeader(), Loops(config.local.hops, router.is_local), trace], Limits().stage_timeout
    )
    return Rules(
        config, directory, router, {LOCAL: local, **{each.name: of(each) for each in config.listen}}
    )


def _limits(submission: Submission) -> SendingLimits:
    return SendingLimits(
        messages=submission.messages_per_hour,
        recipients=submission.recipients_per_hour,
        new_recipients=submission.new_recipients_per_hour,
        known=submission.known_recipients,
        kept=submission.held_size,
    )


def _received_writer(
    hostname: str, submission: Submission
) -> Callable[[Transaction, Message], bytes]:
    """Give the function that writes our Received field for a transaction."""

    def received(txn: Transaction, message: Message) -> bytes:
        session, recipients = txn.session, txn.recipients
        only = recipients[0].address if len(recipients) == 1 else None
        if only is not None and not (only.ascii or txn.smtputf8):
            only = None
        if session.local_user is not None:
            return injected_field(
                hostname=hostname,
                user=session.local_user,
                id=txn.id,
                at=txn.started,
                recipient=only,
            )
        hidden = session.login is not None and submission.hide_client
        return received_field(
            helo=session.helo,
            address="" if hidden else session.peer.address,
            rdns=session.peer.name,
            hostname=hostname,
            protocol=txn.protocol,
            id=txn.id,
            at=txn.started,
            recipient=only,
            tls=session.tls.cipher if session.tls else "",
            tls_version=session.tls.version if session.tls else "",
        )

    return received


def is_us(config: Config, is_ours: IsOurs) -> Callable[[str], bool]:
    """Give the test whether a host name or an address is this server as another server would reach it."""
    hostname = canonical_domain(config.hostname)
    ports = {endpoint(where).port for listen in config.listen for where in listen.bind}

    def test(name: str) -> bool:
        if name == hostname:
            return True
        if config.outbound.port not in ports:
            return False
        try:
            return is_ours(ip_address(name))
        except ValueError:  # a name, no address
            return False

    return test
