"""What a client accepts: any Accept header, any `accept` parameter.

Input: the header as Latin-1, which is how WSGI hands it over, a line feed, the parameter.
"""

from __future__ import annotations

from collections.abc import Iterator

from dicomweb.header_fields import MediaTypeError, parse_content_type, split_list
from dicomweb.media_types import Representation, choose, parse_accept
from tests.fuzz.target import Target

OFFERS = (
    Representation("image/jp2", "1.2.840.10008.1.2.4.90", True, as_stored=True),
    Representation("application/octet-stream", "1.2.840.10008.1.2.1", True),
    Representation("application/dicom", None, False),
    Representation("application/dicom+json", None, False),
)


def check(data: bytes) -> None:
    """One of the offers or none, the same each time, and never another error than MediaTypeError."""
    header, _, parameter = data.decode("latin-1").partition("\n")
    chosen = choose(header, parameter, OFFERS)
    assert chosen is None or chosen in OFFERS
    assert chosen == choose(header, parameter, OFFERS)
    for media_range in parse_accept(header):
        assert 0 <= media_range.quality <= 1
        assert "/" in media_range.media_type
    for element in split_list(header):
        try:
            parsed = parse_content_type(element)
        except MediaTypeError:
            continue
        assert parsed.type == parsed.type.lower()
        assert all(name == name.lower() for name in parsed.parameters)


def seeds() -> Iterator[bytes]:
    """What real clients send."""
    for header in (
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
        "multipart/related; type=image/jp2;transfer-syntax=1.2.840.10008.1.2.4.90, */*;q=0.1",
        'multipart/related; type="application/octet-stream; transfer-syntax=*"',
        "application/dicom+json;q=0.5, application/dicom;q=1.000",
        "image/, *",
        'a/b; c="d\\"e,;f"; g=h',
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ):
        yield header.encode()
        yield b"\n" + header.encode()
        yield header.encode() + b"\napplication/dicom json"


TARGET = Target(
    name="accept",
    check=check,
    seeds=seeds,
    words=(
        b"multipart/related",
        b"type=",
        b"transfer-syntax=",
        b";q=0",
        b"*/*",
        b'"',
        b"\\",
        b",",
        b"application/dicom",
    ),
    longest=2048,
)
