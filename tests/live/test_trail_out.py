"""A1 and A2: what a real installation does arrives at a real receiver of syslog, and FHIR tells the same events."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pydicom
import pytest
import requests

from tests.audit.receivers import Authority, Sink, Way, eventually
from tests.live.server import LivePacs

FILE = Path(pydicom.__file__).parent / "data/test_files/CT_small.dcm"


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    made = Sink(Authority(tmp_path / "ca"))
    yield made
    made.close()


@pytest.fixture
def way(sink: Sink) -> Iterator[Way]:
    made = Way(sink.port)
    yield made
    made.close()


@pytest.fixture
def pacs(way: Way, tmp_path: Path) -> Iterator[LivePacs]:
    installation = LivePacs()
    installation.environment |= {
        "PACS_SYSLOG__HOST": "localhost",
        "PACS_SYSLOG__PORT": str(way.port),
        "PACS_SYSLOG__CA_FILE": str(tmp_path / "ca" / "ca.pem"),
        "PACS_SYSLOG__SITE": "Live",
    }
    try:
        yield installation.start()
    finally:
        installation.stop()


def use(pacs: LivePacs, times: int) -> None:
    """Store, search, read and be refused, some times over."""
    technologist, device = pacs.machine("technologist"), pacs.machine("device")
    uid = str(pydicom.dcmread(FILE).StudyInstanceUID)
    body = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + FILE.read_bytes() + b"\r\n--x--\r\n"
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}
    for _ in range(times):
        assert device.post(f"{pacs.url}/dicom-web/studies", body, headers=headers, timeout=60).status_code == 200
        assert technologist.get(f"{pacs.url}/dicom-web/studies", timeout=60).status_code == 200
        assert technologist.get(f"{pacs.url}/dicom-web/studies/{uid}/metadata", timeout=60).status_code == 200
        assert device.get(f"{pacs.url}/dicom-web/studies/{uid}", timeout=60).status_code == 403


def of_fhir(auditor: requests.Session, pacs: LivePacs) -> dict[int, dict[str, Any]]:
    """Every event that the search tells, by its sequence, up to the first search."""
    found: dict[int, dict[str, Any]] = {}
    address = f"{pacs.url}/fhir/AuditEvent?_count=100"
    while address:
        answer = auditor.get(address, timeout=60)
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        found |= {int(each["resource"]["id"]): each["resource"] for each in bundle.get("entry", ())}
        address = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    return found


def told_sequence(xml: bytes) -> int | None:
    for detail in ElementTree.fromstring(xml).iter("ParticipantObjectDetail"):  # noqa: S314 - ours
        if detail.get("type") == "Sequence":
            return int(base64.b64decode(detail.get("value", "")))
    return None


def test_the_receiver_and_fhir_have_the_same_events(pacs: LivePacs, sink: Sink, way: Way) -> None:
    use(pacs, 2)
    eventually(lambda: len(sink.messages) > 8, "nothing arrived")
    way.swallow()
    use(pacs, 20)
    way.restore()
    auditor = pacs.machine("auditor")
    known = of_fhir(auditor, pacs)
    assert len(known) > 88
    last = max(known)
    eventually(
        lambda: bool(pacs.query("SELECT FROM audit_sealedevent WHERE sequence = %s", last)),
        "the last one is not sealed",
    )
    position = pacs.query("SELECT position FROM audit_sealedevent WHERE sequence = %s", last)[0][0]
    eventually(lambda: position in sink.sequence_ids(), "the last one did not arrive")
    first_seen = list(dict.fromkeys(sink.sequence_ids()))
    assert first_seen == list(range(1, len(first_seen) + 1))
    # Sign-ins and starts have no object, so no sequence stands in them.
    of_objects = {number for number, event in known.items() if event["type"]["code"] not in ("110100", "110114")}
    # What committed late stands behind the last one in the log.
    eventually(
        lambda: of_objects <= {told_sequence(message.xml) for message in list(sink.messages)}, "some did not arrive"
    )
    assert b'AuditEnterpriseSiteID="Live"' in sink.messages[-1].xml
    assert "known to have arrived" in pacs.manage("audit_status")
