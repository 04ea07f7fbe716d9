"""From the order to the report and back, over the wire: all processes of an installation, and a RIS that listens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pydicom.uid import generate_uid

from standalone.programs import Hl7
from tests.hl7.installation import wait_until
from tests.hl7.messages import CANCEL, HEAD, MERGE, ORDER, REGISTER, REPORT, code, wire
from tests.hl7.sender import Sender
from tests.hl7.sink import Sink
from tests.live.senders import make_sent, store
from tests.live.server import LivePacs, free_port

pytestmark = pytest.mark.slow
_TRIGGERS = ('order_message="OMG^O19"', 'order_statuses=["IP","CM","DC"]', 'report_statuses=["F","C"]')


class Hospital:
    """The product, whoever sends to it, and the RIS that it tells."""

    def __init__(self) -> None:
        self.ris = Sink()
        self.live = LivePacs()
        port = free_port()
        self.live.environment |= {
            "PACS_HL7__PORT": str(port),
            "PACS_HL7_OUT__NETWORKS": '["127.0.0.0/8"]',
            "PACS_WORKLIST__QUIET_SECONDS": "1",
        }
        self.live.start()
        words = [word for each in _TRIGGERS for word in ("--set", each)]
        self.live.manage("hl7_destination", "ris", "--address", f"127.0.0.1:{self.ris.port}", *words)
        listener = Hl7(port, log=self.live.home / "hl7.log", environment=self.live.environment)
        listener.start()
        self.live.services.append(listener)
        self.port = port
        self.modality = self.live.machine("device")
        self.technologist = self.live.machine("technologist")
        self.radiologist = self.live.machine("radiologist")

    def close(self) -> None:
        self.live.stop()
        self.ris.close()

    def tell(self, text: str) -> None:
        """A message that must be applied."""
        with Sender(self.port) as sender:
            answer = sender.ask(wire(text))
        assert code(answer) == "AA", answer

    def get(self, who: requests.Session, path: str, **query: str) -> Any:
        """The items of an answer, none where there is nothing."""
        answer = who.get(f"{self.live.url}/{path}", params=query, timeout=60)
        assert answer.status_code in (200, 204), (path, answer.status_code, answer.text)
        return answer.json() if answer.content else []

    def scheduled(self, accession: str) -> Any:
        return self.get(
            self.modality, "dicom-web/modality-scheduled-procedure-steps", AccessionNumber=accession, includefield="all"
        )

    def images(self, study: str, patient: str, accession: str) -> None:
        """Two slices of one series, as the modality has them from the worklist."""
        told: dict[str, Any] = {
            "StudyInstanceUID": study,
            "SeriesInstanceUID": generate_uid(),
            "PatientID": patient,
            "IssuerOfPatientID": "HOSP",
            "AccessionNumber": accession,
            "Modality": "CT",
        }
        answer = store(self.live, self.modality, [make_sent(**told, InstanceNumber=number) for number in (1, 2)])
        assert answer.status_code == 200, answer.text

    def order(self, accession: str) -> tuple[str, bool]:
        """Its status, and whether it was to be cancelled but has images."""
        found: tuple[str, bool] = self.live.query(
            "SELECT status, cancelled_with_images FROM worklist_order WHERE accession_number = %s", accession
        )[0]
        return found

    def told(self, *words: str) -> list[str]:
        """What the RIS was told, of those messages that hold all the words."""
        texts = [raw.decode() for raw in self.ris.got]
        return [text for text in texts if all(word in text for word in words)]

    def studies(self, who: requests.Session, **query: str) -> list[str]:
        return [item["0020000D"]["Value"][0] for item in self.get(who, "dicom-web/studies", **query)]


@pytest.fixture(scope="module")
def live() -> Iterator[Hospital]:
    made = Hospital()
    yield made
    made.close()


def of(text: str, patient: str, number: str, study: str = "1.2.840.99.1") -> str:
    """A message of the story about another patient, order, accession number and study."""
    pid = text.partition("|123^^^HOSP&1.2.3.4&ISO")
    text = f"{pid[0]}|{patient}^^^HOSP&1.2.3.4&ISO{pid[2]}" if pid[1] else text
    for before, after in (
        ("P1^EPIC", f"P{number}^EPIC"),
        ("F1^RIS", f"F{number}^RIS"),
        ("A100", f"A{number}"),
        ("1.2.840.99.1", study),
        ("V1^^^HOSP", f"V{patient}^^^HOSP"),
        ("~999^^^EPI", f"~9{patient}^^^EPI"),
    ):
        text = text.replace(before, after)
    head, separator, rest = text.partition("|P|2.5.1")
    fields = head.rsplit("|", 1)
    return f"{fields[0]}|{fields[1]}-{number}{separator}{rest}"


def test_the_circle_is_closed(live: Hospital) -> None:
    study = generate_uid()
    live.tell(of(REGISTER, "C1", "101"))
    live.tell(of(ORDER, "C1", "101", study))
    steps = live.scheduled("A101")
    assert {item["0020000D"]["Value"][0] for item in steps} == {study}
    assert {item["00400100"]["Value"][0]["00400009"]["Value"][0] for item in steps} == {"SPS1", "SPS2"}
    assert {item["00100020"]["Value"][0] for item in steps} == {"C1"}
    live.images(study, "C1", "A101")
    wait_until(lambda: live.told("OMG^O19", "F101^RIS", "||IP"))
    wait_until(lambda: live.told("OMG^O19", "F101^RIS", "||CM"))
    assert live.order("A101") == ("COMPLETED", False)
    assert live.scheduled("A101") == []
    live.tell(of(REPORT, "C1", "101", study))
    wait_until(lambda: live.told("ORU^R01", study, "Normal."))
    [sent] = live.told("ORU^R01", study)
    assert "|113014^DICOM Study^DCM|" in sent
    assert "no subacute bleed" in sent
    assert live.order("A101") == ("REPORTED", False)
    reports = live.get(live.radiologist, f"api/studies/{study}/reports")
    assert "FINAL" in str(reports)
    assert len(live.told("||CM", "F101^RIS")) == 1
    order = [text for text in live.told("F101^RIS") if "OMG^O19" in text.split("\r")[0]]
    assert ["IP" if "||IP" in text else "CM" for text in order] == ["IP", "CM"]


def test_images_first_and_the_order_later_with_another_uid(live: Hospital) -> None:
    study, planned = generate_uid(), generate_uid()
    live.tell(of(REGISTER, "C2", "102"))
    live.images(study, "C2", "A102")
    assert live.studies(live.radiologist, AccessionNumber="A102") == [study]
    live.tell(of(ORDER, "C2", "102", planned))
    wait_until(lambda: live.order("A102")[0] == "COMPLETED")
    linked = live.live.query(
        "SELECT s.study_instance_uid FROM worklist_studyorderlink l JOIN archive_study s ON s.id = l.study_id "
        "JOIN worklist_requestedprocedure r ON r.id = l.procedure_id WHERE r.study_instance_uid = %s",
        planned,
    )
    assert linked == [(study,)]
    wait_until(lambda: live.told("OMG^O19", "F102^RIS", "||CM"))


def test_a_merge_after_the_report(live: Hospital) -> None:
    study = generate_uid()
    live.tell(of(REGISTER, "C3", "103"))
    live.tell(of(REGISTER, "C3old", "1030"))
    live.tell(of(ORDER, "C3old", "103", study))
    live.images(study, "C3old", "A103")
    wait_until(lambda: live.order("A103")[0] == "COMPLETED")
    live.tell(of(REPORT, "C3old", "103", study))
    live.tell(of(MERGE, "C3", "103").replace("MRG|124^", "MRG|C3old^"))
    assert live.studies(live.radiologist, PatientID="C3") == [study]
    assert live.studies(live.radiologist, PatientID="C3old") == []
    assert "FINAL" in str(live.get(live.radiologist, "api/reports", patient="C3"))
    # What comes late under the retired identifier is the survivor's.
    late = generate_uid()
    live.images(late, "C3old", "")
    assert sorted(live.studies(live.radiologist, PatientID="C3")) == sorted([study, late])


def test_a_wrong_patient_is_in_quarantine(live: Hospital) -> None:
    study = generate_uid()
    live.tell(of(REGISTER, "C4", "104"))
    live.tell(of(ORDER, "C4", "104", generate_uid()))
    live.images(study, "C5", "A104")
    quarantined = "SELECT quarantined FROM archive_study WHERE study_instance_uid = %s"
    wait_until(lambda: live.live.query(quarantined, study) == [(True,)])
    # The first one of a house takes a web process up to a second.
    wait_until(lambda: live.studies(live.radiologist, StudyInstanceUID=study) == [])
    answer = live.radiologist.get(f"{live.live.url}/dicom-web/studies/{study}/metadata", timeout=60)
    assert answer.status_code == 404
    assert live.studies(live.technologist, StudyInstanceUID=study) == [study]
    assert live.order("A104") == ("SCHEDULED", False)
    assert live.told("F104^RIS") == []


def test_an_order_is_cancelled_that_has_images(live: Hospital) -> None:
    study = generate_uid()
    live.tell(of(REGISTER, "C6", "106"))
    live.tell(of(ORDER, "C6", "106", study))
    live.images(study, "C6", "A106")
    wait_until(lambda: live.order("A106")[0] == "COMPLETED")
    pid = ORDER.split("\n")[1].replace("123^^^HOSP&1.2.3.4&ISO", "C6^^^HOSP&1.2.3.4&ISO")
    live.tell(
        "\n".join(
            (
                HEAD.format(app="RIS", type="OMG^O19", control="cancel-106"),
                pid,
                *CANCEL.replace("P2|F2", "P106^EPIC|F106^RIS").replace("A200|RP2", "A106|RP1").split("\n")[2:],
            )
        )
    )
    assert live.order("A106") == ("COMPLETED", True)
    assert live.studies(live.radiologist, StudyInstanceUID=study) == [study]
