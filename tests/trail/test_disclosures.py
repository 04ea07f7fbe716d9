"""The accounting of disclosures: exactly what left the house, to whom, when and what for."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client as Browser

from archive.models import Patient, Study
from audit.canonical import FIELDS
from audit.kinds import ACCESS, EXPORT, RETRIEVE, SHARE, SHARE_USED
from audit.models import AccessEvent
from tests.access.conftest import MakeStudy
from tests.audit.logs import rows
from tests.trail.conftest import NOON, Happen
from trail.disclosures import disclosures

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _study(make_study: MakeStudy) -> Study:
    return make_study(
        "1.2.3", patient_id="P-3", modalities_in_study=["CT"], study_date="20300102", study_description="Chest"
    )


def three_disclosures(happen: Happen) -> None:
    about = {"study_uids": ["1.2.3"], "patient_ids": ["P-3"]}
    happen(EXPORT, who="Dr Outside", purpose="Second opinion", instance_count=300, at=NOON, **about)
    happen(
        SHARE_USED,
        who="The insurance",
        principal_kind="link",
        purpose="Insurance or legal",
        at=NOON + timedelta(days=1),
        **about,
    )
    for number in range(3):
        happen(RETRIEVE, who="ai.example", principal_kind="client", roles=["ai_vendor"], purpose="Analysis",
               instance_count=10, at=NOON + timedelta(days=2, minutes=number), **about)  # fmt: skip
    # None of these is a disclosure.
    happen(RETRIEVE, who="rita", roles=["radiologist"], at=NOON, **about)
    happen(SHARE, who="rita", at=NOON, **about)
    happen(SHARE_USED, who="wrong pin", decision="deny", outcome=4, at=NOON, **about)
    happen(EXPORT, who="Dr Other", at=NOON, study_uids=["1.2.9"], patient_ids=["P-9"])
    happen(EXPORT, who="long ago", at=datetime(2020, 1, 1, tzinfo=UTC), **about)


def test_the_file(machine: Browser, happen: Happen) -> None:
    three_disclosures(happen)
    answer = machine.get("/trail/disclosures.csv?patient=P-3")
    assert answer["Content-Disposition"] == 'attachment; filename="disclosures.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode().removeprefix("\ufeff"))))
    four = [
        (row["date"][:10], row["recipient"], row["what"], row["purpose"])
        for row in rows
        if row["recipient"] != "long ago"
    ]
    assert four == [
        ("2030-02-02", "ai.example", "CT 2030-01-02 Chest (30 instances)", "Analysis"),
        ("2030-02-01", "The insurance", "CT 2030-01-02 Chest", "Insurance or legal"),
        ("2030-01-31", "Dr Outside", "CT 2030-01-02 Chest (300 instances)", "Second opinion"),
    ]


def test_six_years(happen: Happen) -> None:
    three_disclosures(happen)
    assert "long ago" not in {row.recipient for row in disclosures("P-3", "", now=datetime(2030, 3, 1, tzinfo=UTC))}
    assert "long ago" in {row.recipient for row in disclosures("P-3", "", now=datetime(2025, 12, 31, tzinfo=UTC))}
    assert disclosures("P-3", "", now=datetime(2036, 2, 29, tzinfo=UTC)) == []


def test_much_that_a_vendor_read_hides_nothing(happen: Happen) -> None:
    about = {"study_uids": ["1.2.3"], "patient_ids": ["P-3"]}
    happen(EXPORT, who="Dr Outside", at=NOON, **about)
    happen(RETRIEVE, who="ai.example", roles=["ai_vendor"], instance_count=1, at=NOON + timedelta(days=1), **about)
    names = ", ".join(name for name in FIELDS if name != "sequence")
    rows(
        f"INSERT INTO audit_accessevent ({names}) SELECT {names} FROM audit_accessevent, generate_series(1, 12000) "  # noqa: S608
        "WHERE principal_name = 'ai.example' RETURNING sequence"
    )
    found = disclosures("P-3", "", now=NOON + timedelta(days=2))
    assert [(row.recipient, row.instances) for row in found] == [("ai.example", 12_001), ("Dr Outside", 0)]


def test_the_page_names_nobody_in_its_address(reading: Browser, happen: Happen) -> None:
    three_disclosures(happen)
    answer = reading.post("/trail/disclosures", {"patient": "P-3"}, follow=True)
    assert "P-3" not in answer.redirect_chain[-1][0]
    page = answer.content.decode()
    assert all(name in page for name in ("Dr Outside", "The insurance", "ai.example", "Second opinion"))
    assert "Dr Other" not in page
    event = AccessEvent.objects.order_by("-sequence")[0]
    assert (event.kind, event.query) == ("read_trail", "disclosures of patient=P-3")
    assert (
        reading.get(f"/trail/disclosures.csv?{answer.context['query']}").content.count(b"\r\n")
        == len(answer.context["rows"]) + 1
    )


def test_other_patients_studies_are_not_told(happen: Happen, make_study: MakeStudy) -> None:
    make_study("1.2.8", patient_id="P-8", study_description="Hidden")
    happen(EXPORT, study_uids=["1.2.3", "1.2.8"], patient_ids=["P-3", "P-8"])
    assert [row.what for row in disclosures("P-3", "")] == ["CT 2030-01-02 Chest"]


def test_an_issuer_tells_two_apart(happen: Happen) -> None:
    for issuer, uid in (("A", "1.5.1"), ("B", "1.5.2")):
        patient = Patient.objects.create(patient_id="SAME", issuer_of_patient_id=issuer)
        Study.objects.create(study_instance_uid=uid, patient=patient, study_description=f"of {issuer}")
        happen(EXPORT, who=f"to {issuer}", study_uids=[uid], patient_ids=["SAME"])
    assert [row.recipient for row in disclosures("SAME", "A")] == ["to A"]
    assert len(disclosures("SAME", "")) == 2


def test_what_is_gone_is_still_told(happen: Happen) -> None:
    happen(EXPORT, who="Dr X", study_uids=["1.9.9"], patient_ids=["P-GONE"])
    assert [row.what for row in disclosures("P-GONE", "")] == ["studies that are no longer in the archive"]


def test_nobody_asked_and_nothing_found(reading: Browser, machine: Browser, happen: Happen) -> None:
    assert reading.get("/trail/disclosures").status_code == 200
    assert machine.get("/trail/disclosures.csv").status_code == 400
    assert machine.get("/trail/disclosures.csv", {"patient": "a\0"}).status_code == 400
    assert "Nothing was disclosed" in reading.get("/trail/disclosures?patient=nobody").content.decode()
    assert reading.post("/trail/disclosures", {}, follow=True).status_code == 200
    happen(ACCESS, roles=["ai_vendor"], study_uids=["1.2.3"], who="=ai")
    assert "'=ai" in machine.get("/trail/disclosures.csv?patient=P-3").content.decode()
