"""Every message of the shared folder by a live listener: answered by the table, with its effect; and sent once more.

Those made for us are answered as their list expects. First they come by a socket of ours, then by another maker's
sender.
"""

from __future__ import annotations

import csv
import re
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hl7.errors import Condition
from hl7.framing import Deframer, framed
from hl7.handlers import HANDLERS
from tests.hl7.installation import Installation, mllp_send
from tests.hl7.sender import Sender

pytestmark = pytest.mark.slow
_MESSAGE = re.compile(rb"(?:\A|(?<=[\r\n]))(?=MSH[^A-Za-z0-9])")
# What these mean by their words and fields is theirs; that is what profiles are for.
PROFILES = {
    "HNAM": ('control_map={"NW_Ordered": "NW_SC"}', 'accession_from=["OBR-20", "OBR-18"]'),
    "EPIC": ('control_map={"XO_IP": "XO_"}',),
    "ITS": ('accession_from=["OBR-18", "OBR-20"]',),
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of a file, and MSA-1 of its answer ("NONE" for none)."""

    path: str
    raw: bytes
    code: str


@pytest.fixture(scope="module")
def live() -> Iterator[Installation]:
    made = Installation()
    made.install()
    made.manage("hl7_interface", "any", "--set", 'processing_ids=["P", "T", "D"]')
    for application, values in PROFILES.items():
        words = [word for value in values for word in ("--set", value)]
        made.manage("hl7_interface", application, "--application", application, *words)
    made.listener.start()
    yield made
    made.stop()


def messages(path: Path) -> list[bytes]:
    raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if raw[:3] in (b"FHS", b"BHS"):
        return [raw]
    return [each for each in _MESSAGE.split(raw) if each.strip()]


def send(port: int, path: str, raw: bytes) -> Sent:
    """Over a connection of its own, as some make the listener close it."""
    with Sender(port) as sender:
        sender.send(framed(raw))
        sender.socket.shutdown(socket.SHUT_WR)
        answer = sender.answer()
    if not answer:
        return Sent(path, raw, "NONE")
    assert answer.startswith(b"MSH")
    assert Deframer(1 << 24).feed(framed(answer)) == [answer]
    return Sent(path, raw, re.split(rb"\rMSA.", answer)[1][:2].decode())


def test_all_of_them(live: Installation, shared_data: Path, tmp_path: Path) -> None:
    listed = list(csv.DictReader((shared_data / "hl7/index.csv").open()))
    assert len(listed) > 300
    # An order comes before what becomes of it, and its cancellation last.
    listed.sort(key=lambda row: ("_nw_" not in row["path"], "cancel" in row["path"]))
    supported = {kind for kind, _ in HANDLERS}
    other: dict[str, tuple[str, str]] = {}
    sent: list[Sent] = []
    for row in listed:
        # The samples have one number of a visit for many a patient: each file is of a hospital of its own.
        live.query("UPDATE worklist_visit SET number = number || '.' || id RETURNING id")
        for raw in messages(shared_data / "hl7" / row["path"]):
            sent.append(send(live.hl7_port, row["path"], raw))
            code = sent[-1].code
            expected = row["expect"] if row["type"].partition("^")[0] in {*supported, "?", "ZZZ"} else "AR"
            if row["expect"] and code.replace("C", "A") not in expected.replace("CA", "AA").split("|"):
                other[row["path"]] = (expected, code)
    # The order that it cancels was completed by another file's message before.
    assert other == {"made/epic_orm_o01_ca_cancel.hl7": ("AA", "AE")}
    effects(live, sent)
    once_more(live, sent, tmp_path)


def effects(live: Installation, sent: list[Sent]) -> None:
    """Each answer says what was done, and what was done is there."""
    kept = iter(
        live.query('SELECT raw, state, condition, effect, patient, "order", type FROM hl7_hl7message ORDER BY id')
    )
    patients = {row[0] for row in live.query("SELECT id FROM archive_patient")}
    scheduled = {
        row[0]
        for row in live.query(
            "SELECT r.order_id FROM worklist_requestedprocedure r JOIN worklist_scheduledprocedurestep s "
            "ON s.procedure_id = r.id"
        )
    }
    row = next(kept)
    done: Counter[str] = Counter()
    for each in sent:
        if bytes(row[0]) != each.raw:
            assert each.code == "NONE", each.path
            continue
        _, state, condition, effect, patient, order, kind = row
        row = next(kept, (b"",))
        applied = state in ("applied", "repeated")
        done[f"{kind[:3]} {each.code}"] += 1
        # Never our own fault; and refused as table 0357 has it.
        assert condition not in (Condition.INTERNAL, Condition.RECORD_LOCKED), each.path
        assert applied == (condition is None) == bool(effect), each.path
        if each.code in ("AA", "AE", "AR"):
            refused = "AR" if (condition or 0) >= Condition.UNSUPPORTED_MESSAGE_TYPE else "AE"
            assert each.code == ("AA" if applied else refused), each.path
        if applied and kind not in ("ADT^A24", "ADT^A37"):
            assert patient in patients, each.path
        if applied and kind[:3] in ("ORM", "OMG", "OMI"):
            assert order in scheduled, each.path
    assert {"ADT AA", "ORM AA", "OMI AA", "OMG AA", "ORU AA", "MDM AA", "SIU AA"} <= done.keys(), done
    assert next(kept, None) is None


def once_more(live: Installation, sent: list[Sent], folder: Path) -> None:
    """The same bytes from another maker's sender: the same answer, and nothing happens again."""
    tables = ("archive_patient", "worklist_order", "worklist_visit", "worklist_stateevent", "reports_reportversion")
    before = [live.count(table) for table in tables]
    numbers = Counter(_number(each.raw) for each in sent)
    again = [each.raw for each in sent if each.code == "AA" and numbers[_number(each.raw)] == 1]
    assert len(again) > 100, len(again)
    answers = mllp_send(live.hl7_port, folder, *again)
    assert Counter(re.findall(r"\bMSA\W(..)", answers)) == {"AA": len(again)}
    assert [live.count(table) for table in tables] == before


def _number(raw: bytes) -> tuple[bytes, ...]:
    """MSH-3, MSH-4 and MSH-10."""
    fields = [*raw.split(raw[3:4], 10), *[b""] * 10]
    return fields[2], fields[3], fields[9]
