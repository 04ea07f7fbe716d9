"""An answer as it can be compared: without what is another one each time."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass

_IGNORED = frozenset({"date", "x-request-id", "set-cookie", "last-modified", "server-timing"})
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_TIMES = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?")
_MADE_UP = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b|-[0-9a-f]{8}\b")
# A page's nonce and its token against forged requests
_OF_A_PAGE = re.compile(rb'(nonce|value|name="csrfmiddlewaretoken" value)="[^"]{16,}"')
_OPERATION = re.compile(r"/operations/[0-9a-f]{32}")
_IN_A_POLICY = re.compile(r"'nonce-[^']+'")
_TEXTS = ("application/dicom+json", "application/json", "application/problem+json", "application/fhir+json", "text/")
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, header fields in lower case, and the SHA-256 of the body, or what a body of known structure holds."""

    status: int
    headers: dict[str, str]
    length: int  # 0 for a ZIP
    body: str | list[str]

    def row(self) -> Row:
        """As JSON."""
        return asdict(self)


def normal(status: int, headers: Iterable[tuple[str, str]], body: bytes, port: int) -> Answer:
    """``body`` as it was sent, undone only of its transfer coding; what is compressed is compared by what is in it."""
    fields: dict[str, str] = {}
    for name, value in headers:
        if name.lower() not in _IGNORED:
            fields[name.lower()] = f"{fields[name.lower()]}, {value}" if name.lower() in fields else value
    if fields.get("content-encoding") == "gzip" and body:
        # The address of the server is in it.
        body = gzip.decompress(body)
        fields.pop("content-length", None)
    media_type = fields.get("content-type", "")
    if boundary := _BOUNDARY.search(media_type):
        plain = "B" * len(boundary[1])
        body = body.replace(boundary[1].encode(), plain.encode())
        fields["content-type"] = media_type.replace(boundary[1], plain)
    number, same = str(port), "P" * len(str(port))
    body = body.replace(f":{number}/".encode(), f":{same}/".encode())
    fields = {name: value.replace(f":{number}", f":{same}") for name, value in fields.items()}
    fields = {name: _IN_A_POLICY.sub("'nonce'", value) for name, value in fields.items()}
    if media_type.startswith(_TEXTS):
        body = _OF_A_PAGE.sub(b"once", _MADE_UP.sub(b"made up", _TIMES.sub(b"then", body)))
    if media_type == "application/zip":
        return Answer(status, fields, 0, _entries(body))
    return Answer(status, fields, len(body), _hashed(body))


def _hashed(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _entries(body: bytes) -> list[str]:
    """What a ZIP holds, without its times, and without its DICOMDIR, which has a UID of its own each time."""
    if not body:
        return []
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        hashes = ("" if name == "DICOMDIR" else _hashed(archive.read(name)) for name in archive.namelist())
        return [f"{name} {each}" for name, each in zip(archive.namelist(), hashes, strict=True)]


def differences(before: dict[str, Row], after: dict[str, Row]) -> list[str]:
    """A line for each answer that is another one, or is missing on one side, with what differs."""
    found = []
    for name in dict.fromkeys((*before, *after)):
        one, other = (_comparable(name, rows.get(name)) for rows in (before, after))
        if one is None or other is None:
            found.append(f"{name}: only {'after' if one is None else 'before'}")
        elif one != other:
            found.append(f"{name}: {'; '.join(_differing(one, other))}")
    return found


def _comparable(name: str, row: Row | None) -> Row | None:
    """Without the entity tags of metadata, in which the address of the server is, and addresses that are made up."""
    if row is None or not isinstance(fields := row.get("headers"), dict):
        return row
    kept = {field: value for field, value in fields.items() if field != "etag" or "/metadata" not in name}
    return row | {"headers": {field: _OPERATION.sub("/operations/made-up", value) for field, value in kept.items()}}


def _differing(one: Row, other: Row) -> list[str]:
    told = []
    for key in one:
        was, now = one[key], other[key]
        if isinstance(was, dict) and isinstance(now, dict):
            told += [
                f"{name}: {was.get(name)!r} -> {now.get(name)!r}"
                for name in sorted({*was, *now})
                if was.get(name) != now.get(name)
            ]
        elif was != now:
            told.append(f"{key} {str(was)[:80]} -> {str(now)[:80]}")
    return told
