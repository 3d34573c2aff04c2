"""The PROXY header, against the text of the protocol, and against aiosmtpd's parser where that is right.

Where it is not: it reads a v1 line up to the reader's limit before it looks at its length, and a v2 header of 64 KB;
it takes "TCPX4", a port written "8_0" and datagrams; it refuses LOCAL with a truncated address, which is to be ignored;
of a stream that ends within five octets it raises.
"""

import asyncio
import struct
from ipaddress import ip_address

import pytest
from aiosmtpd.proxy_protocol import AF, ProxyData, get_proxy
from hypothesis import assume, given
from hypothesis import strategies as st

from notqmail.mail.network import plain_address
from notqmail.smtp.proxy import MAX_V1, MAX_V2, Ends, Header, Malformed, ProxyReader
from tests.support.splits import cuts, pieces

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = Ends("192.0.2.1", 40000, "198.51.100.2", 25)
V6 = Ends("2001:db8::1", 40000, "2001:db8::2", 25)
BLOCK4 = bytes((192, 0, 2, 1, 198, 51, 100, 2)) + struct.pack("!HH", 40000, 25)
BLOCK6 = (
    ip_address("2001:db8::1").packed
    + ip_address("2001:db8::2").packed
    + struct.pack("!HH", 40000, 25)
)

ports = st.integers(0, 65535)
pairs = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
)


def v2(family: int, block: bytes, command: int = 0x21, size: int | None = None) -> bytes:
    length = len(block) if size is None else size
    return SIGNATURE + bytes((command, family)) + length.to_bytes(2) + block


def read(stream: bytes) -> Header | Malformed | None:
    return ProxyReader().feed(stream)


def why(stream: bytes) -> str:
    found = read(stream)
    assert isinstance(found, Malformed), found
    return found.why


# version 1


@pytest.mark.parametrize(
    ("line", "ends"),
    [
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 25", V4),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 40000 25", V6),
        (b"PROXY TCP6 2001:0DB8:0:0:0:0:0:1 2001:DB8::2 40000 25", V6),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 40000 25", V4),
        (b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535", Ends("0.0.0.0", 0, "255.255.255.255", 65535)),
        (b"PROXY UNKNOWN", None),
        (b"PROXY UNKNOWN ffff::1 ffff::1 65535 65535", None),
        (b"PROXY UNKNOWN \xff anything", None),
    ],
)  # fmt: skip
def test_a_line_names_both_ends(line: bytes, ends: Ends | None) -> None:
    assert read(line + b"\r\nEHLO x\r\n") == Header(ends, b"EHLO x\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY ",
        b"PROXY TCP",
        b"PROXY TCP4",
        b"PROXY UNKNOWNX",
        b"PROXY unknown",
        b"PROXY UDP4 192.0.2.1 198.51.100.2 40000 25",
        b"PROXY TCPX4 192.0.2.1 198.51.100.2 40000 25",
        b"PROXY TCP4  192.0.2.1 198.51.100.2 40000 25",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 25 ",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 40000",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 040000 25",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 8_0 25",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 25",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 \xb2 25",
        b"PROXY TCP4 192.0.2.1\0 198.51.100.2 40000 25",
        b"PROXY TCP6 fe80::1%eth0 2001:db8::2 40000 25",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\n",
    ],
)
def test_a_line_in_another_form_is_refused(line: bytes) -> None:
    assert why(line + b"\r\n") == "its PROXY line is not in the form of version 1"


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY TCP4 192.0.2.256 198.51.100.2 1 25",
        b"PROXY TCP4 192.0.2.01 198.51.100.2 1 25",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 25",
        b"PROXY TCP6 192.0.2.1 198.51.100.2 1 25",
        b"PROXY TCP6 ::1::2 ::1 1 25",
    ],
)
def test_a_line_without_addresses_of_its_family_is_refused(line: bytes) -> None:
    assert why(line + b"\r\n") == "its PROXY line has no address where one belongs"


@pytest.mark.parametrize("ports", [b"65536 25", b"1 99999"])
def test_a_port_is_a_port(ports: bytes) -> None:
    assert "port above 65535" in why(b"PROXY TCP4 192.0.2.1 192.0.2.2 " + ports + b"\r\n")


def test_a_line_has_107_octets_and_not_one_more() -> None:
    longest = b"PROXY UNKNOWN ".ljust(MAX_V1 - 2, b"x")

    assert read(longest + b"\r\n") == Header(None, b"")
    assert read(longest) is None
    assert "longer than 107" in why(longest + b"x\r\n")
    assert "longer than 107" in why(longest + b"xx")


# version 2


@pytest.mark.parametrize(
    ("header", "ends"),
    [
        (v2(0x11, BLOCK4), V4),
        (v2(0x21, BLOCK6), V6),
        (v2(0x11, BLOCK4 + b"\x03\0\x04abcd\x04\xff\xffcut"), V4),  # TLVs, whatever they are
        (v2(0x00, b""), None),
        (v2(0x00, b"\x03\0\x04abcd"), None),
        (v2(0x31, bytes(216)), None),
        (v2(0x00, b"", command=0x20), None),
        (v2(0x11, BLOCK4, command=0x20), None),
        (v2(0x11, b"cut", command=0x20), None),
        (v2(0xFF, b"", command=0x20), None),
    ],
)
def test_a_binary_header_names_both_ends(header: bytes, ends: Ends | None) -> None:
    assert read(header + b"\x16\x03\x01") == Header(ends, b"\x16\x03\x01")


def test_a_header_without_addresses_is_whole_before_anything_follows() -> None:
    assert read(v2(0x00, b"", command=0x20)) == Header(None, b"")


def test_a_mapped_client_is_an_ipv4_client() -> None:
    mapped = b"".join(ip_address(f"::ffff:{a}").packed for a in ("192.0.2.1", "198.51.100.2"))

    assert read(v2(0x21, mapped + BLOCK4[8:])) == Header(V4, b"")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (v2(0x11, BLOCK4, command=0x22), "another version or command"),
        (v2(0x11, BLOCK4, command=0x11), "another version or command"),
        (v2(0x12, BLOCK4), "another family or protocol"),
        (v2(0x10, BLOCK4), "another family or protocol"),
        (v2(0x01, b""), "another family or protocol"),
        (v2(0x32, bytes(216)), "another family or protocol"),
        (v2(0x41, bytes(216)), "another family or protocol"),
        (v2(0x11, BLOCK4[:-1]), "too short for its addresses"),
        (v2(0x21, BLOCK4), "too short for its addresses"),
        (v2(0x31, bytes(215)), "too short for its addresses"),
        (v2(0x11, b"", size=MAX_V2 - 15), "longer than 2048"),
        (v2(0x11, b"", size=65535), "longer than 2048"),
    ],
)
def test_another_binary_header_is_refused(header: bytes, reason: str) -> None:
    assert reason in why(header)


def test_a_binary_header_has_2048_octets_and_not_one_more() -> None:
    header = v2(0x11, BLOCK4 + bytes(MAX_V2 - 16 - 12))

    assert len(header) == MAX_V2
    assert read(header[:-1]) is None
    assert read(header + b"x") == Header(V4, b"x")


# both


@pytest.mark.parametrize(
    "stream", [b"EHLO x\r\n", b"\x16\x03\x01", b"\r\n\r\n\r\n", b"PROXX", b"proxy ", b"\0"]
)
def test_who_does_not_begin_with_a_header_is_refused_at_once(stream: bytes) -> None:
    assert why(stream) == "it does not begin with a PROXY header"


def test_nothing_yet_is_nothing_yet() -> None:
    assert read(b"") is None


def headers() -> st.SearchStrategy[bytes]:
    """Whole headers, right and wrong ones, and what is none."""
    lines = st.builds(
        lambda ends, a, b: f"PROXY TCP{ends[0].version} {ends[0]} {ends[1]} {a} {b}\r\n".encode(),
        *(pairs, ports, ports),
    )
    blocks = st.builds(
        v2,
        st.sampled_from((0x00, 0x11, 0x21, 0x31, 0x12)),
        st.one_of(st.just(BLOCK4), st.just(BLOCK6), st.binary(max_size=300)),
        st.sampled_from((0x20, 0x21, 0x22)),
    )
    return st.one_of(lines, blocks, st.just(b"PROXY UNKNOWN\r\n"), st.binary(max_size=120))


@given(headers(), st.binary(max_size=20), cuts(400))
def test_any_split_of_the_stream_gives_the_same(header: bytes, rest: bytes, at: list[int]) -> None:
    stream = header + rest
    whole = read(stream)

    reader, found, after = ProxyReader(), None, b""
    for piece in pieces(stream, at):
        if found is None:
            found = reader.feed(piece)
        else:
            after += piece

    if isinstance(whole, Header) and isinstance(found, Header):
        assert found.ends == whole.ends
        assert found.rest + after == whole.rest
    else:
        assert type(found) is type(whole)


def library_reads(stream: bytes) -> ProxyData:
    async def main() -> ProxyData:
        reader = asyncio.StreamReader()
        reader.feed_data(stream)
        reader.feed_eof()
        return await get_proxy(reader)

    return asyncio.run(main())


@given(headers())
def test_what_we_understand_aiosmtpd_understands_alike(header: bytes) -> None:
    assume(len(header) >= 5 and header[12:13] != b"\x20")
    found, theirs = read(header), library_reads(header)

    if isinstance(found, Header):
        assert theirs.valid, theirs.error
        if found.ends is None:
            assert theirs.family in (AF.UNSPEC, AF.UNIX)
        else:
            assert found.ends == Ends(
                plain_address(str(theirs.src_addr)),
                theirs.src_port,
                plain_address(str(theirs.dst_addr)),
                theirs.dst_port,
            )
    elif isinstance(found, Malformed):
        datagrams = header[13:14] in (b"\x12", b"\x32")
        assert not theirs.valid or datagrams


@given(pairs, ports, ports)
def test_what_a_proxy_writes_is_read_in_both_versions(
    addresses: tuple[object, object], source_port: int, port: int
) -> None:
    source, destination = map(str, addresses)
    ends = Ends(plain_address(source), source_port, plain_address(destination), port)
    version = ip_address(source).version
    packed = ip_address(source).packed + ip_address(destination).packed

    line = f"PROXY TCP{version} {source} {destination} {source_port} {port}\r\n".encode()
    block = v2({4: 0x11, 6: 0x21}[version], packed + source_port.to_bytes(2) + port.to_bytes(2))

    assert read(line) == read(block) == Header(ends, b"")
