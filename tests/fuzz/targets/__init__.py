"""Every fuzz target, by name: what is run, with which words, and what it covers."""

from collections.abc import Mapping

from tests.fuzz.target import Target
from tests.fuzz.targets import (
    addresses,
    dialogue,
    files,
    header,
    local,
    logins,
    mime,
    names,
    smtp,
    wire,
)

TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        Target("command", smtp.command, "smtp", ("smtp.command", "smtp.parameters", "smtp.path")),
        Target("xclient", smtp.xclient, "xclient", ("smtp.xclient",)),
        Target("xtext", smtp.xtext, "smtp", ("smtp.xtext",)),
        Target("features", smtp.features, "reply", ("smtp.extension", "delivery.features")),
        Target("framing", wire.framing, "smtp", ("smtp.framing",)),
        Target("dots", wire.dots, "dots", ("smtp.dots", "smtp.faults")),
        Target("undot", wire.undot, "dots", ("smtp.dots",)),
        Target("chunks", wire.chunks, "dots", ("smtp.chunking", "smtp.faults")),
        Target("proxy", wire.proxy, "proxy", ("smtp.proxy",)),
        Target("reply", wire.reply, "reply", ("smtp.reply", "mail.reply")),
        Target(
            "dialogue",
            dialogue.dialogue,
            "smtp",
            ("smtpd.dialogue", "smtpd.receiver", "smtp.content"),
        ),
        Target("address", addresses.address, "address", ("mail.address",)),
        Target("domain", addresses.domain, "address", ("mail.idn",)),
        Target("address-list", addresses.address_list, "address", ("mail.address_list",)),
        Target("fields", header.fields, "header", ("mail.header", "policy.header_text")),
        Target("edits", header.edits, "header", ("mail.header",)),
        Target("loops", header.loops, "header", ("policy.loops", "policy.header_text")),
        Target("received", header.received, "header", ("mail.received", "mail.date")),
        Target("traits", header.traits, "header", ("mail.traits",)),
        Target("downgrade", mime.downgrade, "mime", ("mail.downgrade", "mail.entity")),
        Target("part", mime.made_part, "mime", ("mail.mime",)),
        Target("report", mime.report, "report", ("mail.dsn", "mail.dsn_words")),
        Target("completion", local.completion, "header", ("mail.completion",)),
        Target("sendmail", local.sendmail, "sendmail", ("cli.sendmail", "cli.submission")),
        Target("inject", local.inject, "local", ("system.inject", "system.submission")),
        Target("control", local.control, "local", ("system.control",)),
        Target("drop", local.drop, "local", ("system.drop",)),
        Target("users", files.users, "accounts", ("system.accounts_text",)),
        Target("aliases", files.aliases, "accounts", ("system.accounts_text",)),
        Target("config", files.settings, "toml", ("config.load", "config.quantity")),
        Target("dns", names.dns, "address", ("system.dns",)),
        Target("journal", names.journal, "address", ("journal",)),
        Target(
            "sasl",
            logins.server,
            "sasl",
            ("auth.sasl_plain", "auth.scram", "auth.login_name", "auth.saslprep"),
        ),
        Target("sasl-client", logins.client, "sasl", ("auth.sasl_client",)),
        Target(
            "app-passwords",
            logins.app_passwords,
            "accounts",
            ("system.app_passwords_text", "system.scram_text"),
        ),
        Target("hop", names.hop, "address", ("mail.hop",)),
    )
}
