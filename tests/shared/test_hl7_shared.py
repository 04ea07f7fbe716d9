"""Every message of the shared folder is parsed and answered by the table; those made for us, as their list expects."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from hl7.errors import Condition, NotAMessage
from hl7.framing import Deframer, framed
from hl7.handlers import HANDLERS
from hl7.interfaces import Peer
from hl7.models import Hl7Interface, Hl7Message
from hl7.receive import receive

pytestmark = pytest.mark.django_db
_MESSAGE = re.compile(rb"(?:\A|(?<=[\r\n]))(?=MSH[^A-Za-z0-9])")
# What these mean by their words and fields is theirs; that is what profiles are for.
PROFILES = {
    "HNAM": {"control_map": {"NW_Ordered": "NW_SC"}, "accession_from": ["OBR-20", "OBR-18"]},
    "EPIC": {"control_map": {"XO_IP": "XO_"}},
    "ITS": {"accession_from": ["OBR-18", "OBR-20"]},
}


def messages(path: Path) -> list[bytes]:
    raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if raw[:3] in (b"FHS", b"BHS"):
        return [raw]
    return [each for each in _MESSAGE.split(raw) if each.strip()]


def answered(raw: bytes) -> str:
    try:
        answer = receive(raw, Peer("mllp", "127.0.0.1")).now
    except NotAMessage:
        return "NONE"
    if answer is None:
        return "NONE"
    assert answer.startswith(b"MSH")
    assert Deframer(1 << 24).feed(framed(answer)) == [answer]
    return re.split(rb"\rMSA.", answer)[1][:2].decode()


def test_all_of_them(shared_data: Path) -> None:
    Hl7Interface.objects.create(name="any", profile={"processing_ids": ["P", "T", "D"]})
    for application, profile in PROFILES.items():
        Hl7Interface.objects.create(name=application, sending_application=application, profile=profile)
    rows = list(csv.DictReader((shared_data / "hl7/index.csv").open()))
    assert len(rows) > 300
    # An order comes before what becomes of it, and its cancellation last.
    rows.sort(key=lambda row: ("_nw_" not in row["path"], "cancel" in row["path"]))
    supported = {kind for kind, _ in HANDLERS}
    codes: Counter[str] = Counter()
    other: dict[str, tuple[str, str]] = {}
    for row in rows:
        for raw in messages(shared_data / "hl7" / row["path"]):
            found = answered(raw)
            codes[found] += 1
            expected = row["expect"] if row["type"].partition("^")[0] in {*supported, "?", "ZZZ"} else "AR"
            if row["expect"] and found.replace("C", "A") not in expected.replace("CA", "AA").split("|"):
                other[row["path"]] = (expected, found)
    assert codes["AA"] > 50
    # Never our own fault.
    ours = Hl7Message.objects.filter(condition__in=(Condition.INTERNAL, Condition.RECORD_LOCKED))
    assert list(ours.values_list("type", "error")) == []
    # The order that it cancels was completed by another file's message before.
    assert other == {"made/epic_orm_o01_ca_cancel.hl7": ("AA", "AE")}, codes
