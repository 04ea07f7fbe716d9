"""What the event loop takes a request for, before the parser has seen it."""

from __future__ import annotations

import pytest

from pacs_project.request_head import HEAD_LIMIT, HeadTooLarge, RequestHead, parse_head, without_expectation


def of(text: str) -> RequestHead:
    data = text.replace("\n", "\r\n").encode()
    found = parse_head(data)
    assert found is not None
    assert found.size == data.index(b"\r\n\r\n") + 4
    return found


@pytest.mark.parametrize(
    ("text", "path", "length"),
    [
        ("GET / HTTP/1.1\nHost: a\n\n", b"/", 0),
        ("\nGET /livez HTTP/1.1\n\n", b"/livez", 0),
        ("GET /livez?a=/x HTTP/1.1\n\n", b"/livez", 0),
        ("POST http://host:80/dicom-web/studies?a HTTP/1.1\nCONTENT-length:  12 \n\nbody", b"/dicom-web/studies", 12),
        ("POST http://host HTTP/1.1\ntransfer-encoding: gzip, chunked\n\n", b"/", None),
        ("POST /x://dicom-web/ HTTP/1.1\nContent-Length: 5\nTransfer-Encoding: chunked\n\n", b"/x://dicom-web/", None),
        ("nonsense\n\n", b"", 0),
        ("POST /a HTTP/1.1\nContent-Length: -5\n\n", b"/a", 0),
        ("POST /a HTTP/1.1\nContent-Length: 1_0\n\n", b"/a", 0),
        (f"POST /a HTTP/1.1\nContent-Length: {'9' * 9000}\n\n", b"/a", 10**18 - 1),
    ],
)
def test_heads(text: str, path: bytes, length: int | None) -> None:
    found = of(text)
    assert (found.path, found.length) == (path, length)


def test_a_head_that_is_not_whole() -> None:
    whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert [parse_head(whole[:size]) for size in range(len(whole))] == [None] * len(whole)
    assert parse_head(b"x" * HEAD_LIMIT) is None
    with pytest.raises(HeadTooLarge):
        parse_head(b"x" * (HEAD_LIMIT + 1))


def test_an_expectation_that_was_answered() -> None:
    data = bytearray(b"POST / HTTP/1.1\r\nexpect: 100-Continue\r\nContent-Length: 9\r\n\r\nExpect: b")
    head = parse_head(data)
    assert head is not None
    assert head.asks_first
    left = without_expectation(data, head)
    assert bytes(data) == b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nExpect: b"
    assert left == parse_head(data)
