"""What a client reads out of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.dicomweb.conftest import body_of


def value(answer: Mapping[str, Any], tag: str) -> Any:
    """The first value of an attribute of a DICOM JSON object; ``None`` if it is empty or absent."""
    return (answer.get(tag, {}).get("Value") or [None])[0]


def values(answers: Iterable[Mapping[str, Any]], tag: str) -> list[Any]:
    return [value(answer, tag) for answer in answers]


def parts_of(response: Any) -> list[tuple[dict[str, str], bytes]]:
    """Headers (lower-case names) and payload of each part, cut strictly at the delimiters (RFC 2046 5.1.1)."""
    content_type = response["Content-Type"]
    assert content_type.startswith("multipart/related; type="), content_type
    delimiter = b"--" + content_type.partition("boundary=")[2].encode()
    body = body_of(response)
    assert "Content-Length" not in response or int(response["Content-Length"]) == len(body)
    first, *pieces, last = body.split(delimiter)
    assert (first, last) == (b"", b"--\r\n")
    parts = []
    for piece in pieces:
        assert piece.startswith(b"\r\n")
        assert piece.endswith(b"\r\n")
        head, _, payload = piece[2:-2].partition(b"\r\n\r\n")
        lines = (line.partition(": ") for line in head.decode("ascii").split("\r\n"))
        parts.append(({name.lower(): text for name, _, text in lines}, payload))
    return parts


def problem_of(response: Any, status: int) -> dict[str, Any]:
    """The problem details (RFC 9457) of an answer that must have ``status``."""
    assert response.status_code == status, (response.status_code, body_of(response)[:300])
    assert response["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["title"]
    return problem
