"""TLS: our certificates, and what is asked of who connects."""

from typing import Annotated, Literal

from msgspec import Meta

from notqmail.config.quantity import Seconds, Section


class Certificate(Section, frozen=True):
    """Certificates and their keys. {name} in a path stands for one name: certbot's live/{name}/fullchain.pem."""

    chain: Annotated[
        str,
        Meta(
            description="PEM: the certificate, then those that sign it; relative to this file; {name} is any one name"
        ),
    ]
    key: Annotated[str, Meta(description="PEM of its private key; {name} is the same name")]


class Tls(Section, frozen=True):
    """TLS for who connects to us. Without certificates no listener offers it."""

    minimum: Annotated[
        Literal["1.2", "1.3"], Meta(description="the oldest version that is spoken")
    ] = "1.2"
    default: Annotated[
        str,
        Meta(
            description='whose certificate is shown to who asks for no name, or for one we have none for; "": hostname'
        ),
    ] = ""
    client_ca: Annotated[
        str,
        Meta(
            description="PEM of who signs the certificates of our users (AUTH EXTERNAL); empty: none is asked for"
        ),
    ] = ""
    handshakes: Annotated[
        int,
        Meta(
            ge=1,
            description="handshakes at once on one listener; over it: the connection is closed, 421 before STARTTLS",
        ),
    ] = 200
    handshake_timeout: Annotated[
        Seconds, Meta(description="for a handshake; over it the connection is cut")
    ] = Seconds(30)
    reload_interval: Annotated[
        Seconds, Meta(description="how often the certificate files are looked at for a change")
    ] = Seconds(60)
    certificate: tuple[Certificate, ...] = ()
