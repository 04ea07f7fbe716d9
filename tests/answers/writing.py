"""Requests that change something: storing before all others, withdrawing at the end; and how a person signs in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import orjson
import requests
from pydicom.uid import BasicTextSRStorage

from dicom.xml import to_xml
from tests.answers.questions import JSON, Question
from tests.answers.studies import CT, DELETED, NO_PIXELS, ROOT, SLICES, batches, below, damaged
from tests.dicomweb.conftest import BOUNDARY, multipart_body
from tests.dicomweb.objects import make_data_set

if TYPE_CHECKING:
    from tests.live.server import LivePacs

_OBJECTS: Final = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
_STUDIES: Final = "/dicom-web/studies"


def storing() -> Iterator[Question]:
    """STOW-RS in its forms, refusals among them."""
    for objects in batches():
        yield _posted(multipart_body(objects), _OBJECTS)
    for objects in damaged():
        yield _posted(multipart_body(objects), _OBJECTS)
        yield _posted(multipart_body(objects), _OBJECTS, 'multipart/related; type="application/dicom+xml"')
    yield _posted(next(batches())[0], "application/dicom")
    yield _posted(multipart_body(next(batches())), _OBJECTS, path=f"{_STUDIES}/{CT}")
    yield _posted(multipart_body(next(batches())), _OBJECTS, path=f"{_STUDIES}/{ROOT}.404")
    for body, media_type in (
        (b"", _OBJECTS),
        (b"--another\r\n\r\n", _OBJECTS),
        (multipart_body([b"x"])[:-20], _OBJECTS),
        (b"x", 'multipart/related; type="application/dicom"'),
        (b"{}", "application/json"),
        (b"x", ""),
        (b"x", 'multipart/related; type="image/png"; boundary=b'),
    ):
        yield _posted(body, media_type)
    for study, root in ((f"{ROOT}.10", JSON), (f"{ROOT}.11", "application/dicom+xml")):
        text = _metadata(study)
        part = b"--m\r\nContent-Type: %s\r\n\r\n%s\r\n--m--\r\n"
        body = part % (root.encode(), b"[%s]" % text if root == JSON else to_xml(text))
        yield _posted(body, f'multipart/related; type="{root}"; boundary=m')
    instances = [f"{CT}.1.{number}" for number in (1, SLICES, SLICES + 1)]
    for wanted in (_referenced(instances), b"{}", b"not JSON"):
        for _ in range(2):
            yield Question(f"/dicom-web/commitment-requests/{ROOT}.9", "POST", {"Content-Type": JSON}, wanted)


def withdrawing() -> Iterator[Question]:
    """Delete at every level, twice; extended query tags, whose work is done by a worker that is not there."""
    series = f"/dicom-web/studies/{DELETED}/series/{DELETED}.1"
    for path in (f"{series}/instances/{DELETED}.1.1", series, f"/dicom-web/studies/{DELETED}"):
        for _ in range(2):
            yield Question(path, "DELETE")
    tags = "/dicom-web/extendedquerytags"
    declared = orjson.dumps([{"Path": "KVP", "Level": "Series"}])
    for body in (declared, declared, b"[]", b"x"):
        yield Question(tags, "POST", {"Content-Type": "application/json"}, body)
    yield Question(f"{tags}/KVP", "PATCH", {"Content-Type": "application/json"}, b'{"QueryStatus": "Disabled"}')
    for path in (tags, f"{tags}/KVP", f"{tags}/KVP/errors"):
        yield Question(path)
    yield Question(f"{tags}/KVP", "DELETE")


def signed_in(live: LivePacs) -> dict[str, str]:
    """The header field of a person's session."""
    page = f"{live.url}/accounts/login/"
    with requests.Session() as browser:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(page, timeout=60).text)
        assert token is not None
        fields = {"username": live.username, "password": live.password, "csrfmiddlewaretoken": token[1]}
        answer = browser.post(page, fields, headers={"Referer": page, "Origin": live.url}, timeout=60)
        assert answer.status_code == 200, answer.text[:500]
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}


def _posted(body: bytes, media_type: str, accept: str = JSON, path: str = _STUDIES) -> Question:
    headers = {"Accept": accept} | ({"Content-Type": media_type} if media_type else {})
    return Question(path, "POST", headers, body)


def _metadata(study: str) -> bytes:
    """A report without pixels as a DICOM JSON object."""
    uids = below(study, 1, 1)
    ds = make_data_set(SpecificCharacterSet="ISO_IR 192", SOPClassUID=BasicTextSRStorage, **uids, **NO_PIXELS)
    return orjson.dumps(ds.to_json_dict())


def _referenced(instances: Iterable[str]) -> bytes:
    items = [
        {
            "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
            "00081155": {"vr": "UI", "Value": [uid]},
        }
        for uid in instances
    ]
    return orjson.dumps({"00081199": {"vr": "SQ", "Value": items}})
