"""Reports for programs: to whom, what about, their versions and files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Http

from access.acting import Acting
from access.authentication import person
from access.emergency import begin
from access.marking import restrict
from access.models import CustomRole, Grant, User
from access.physician_names import set_physician_names
from access.restriction_models import Mark
from access.restrictions import marks, quarantine
from archive.models import Patient, Series, Study
from audit.models import AccessEvent
from reports.facts import Attachment
from tests.reports.making import reported
from worklist.order_messages import EntityIdentifier

pytestmark = pytest.mark.django_db
MakePerson = Callable[..., User]
MakeStudy = Callable[..., Study]


def get(browser: Http, address: str, status: int = 200) -> Any:
    answer = browser.get(address, headers={"accept": "*/*"})
    assert answer.status_code == status, answer.content[:300]
    if status >= 400:
        assert answer["Content-Type"] == "application/problem+json"
    assert status >= 400 or answer["Cache-Control"] == "no-store"
    return answer.json() if "json" in answer["Content-Type"] else answer


def test_a_report_with_its_versions(browser: Http, make_person: MakePerson, make_study: MakeStudy) -> None:
    browser.force_login(make_person("radiologist"))
    study = make_study("1.2.3", patient_id="PAT-7", accession_number="A7")
    reported(study, "Preliminary.", "P")
    report = reported(study, "Small bleed.")
    [listed] = get(browser, "/api/studies/1.2.3/reports")["reports"]
    assert (listed["status"], listed["signed"], listed["version"], listed["studies"]) == ("FINAL", True, 2, ["1.2.3"])
    assert (listed["patient_id"], listed["accession_numbers"]) == ("PAT-7", ["A7"])
    found = get(browser, listed["url"])
    assert found["newest"]["sections"][1] == {"code": "19005-8", "title": "Impression", "text": "Small bleed."}
    assert [row["status"] for row in found["versions"]] == ["FINAL", "PRELIMINARY"]
    event = AccessEvent.objects.latest("sequence")
    assert (event.kind, event.study_uids, event.patient_ids) == ("report_read", ["1.2.3"], ["PAT-7"])
    first = get(browser, found["versions"][1]["url"])
    assert (first["sections"][1]["text"], first["document"]) == ("Preliminary.", None)
    for address in (f"/api/reports/{report.pk}/versions/3", "/api/reports/0", f"/api/reports/{'9' * 30}"):
        get(browser, address, 404)
    get(browser, f"/api/reports/{report.pk}/versions/2/document", 404)
    get(browser, "/api/studies/1.2.9/reports", 404)
    get(browser, "/api/studies/x..y/reports", 404)


def test_searched_and_paged(browser: Http, make_person: MakePerson, make_study: MakeStudy) -> None:
    browser.force_login(make_person("radiologist"))
    studies = [
        make_study(f"1.2.{n}", patient_id=f"P{n}", accession_number=f"A{n}", study_date=f"2025010{n}")
        for n in range(1, 6)
    ]
    for study in studies:
        reported(study, status="P" if study.accession_number == "A2" else "F")

    def numbers(query: str) -> list[str]:
        return [each["patient_id"] for each in get(browser, f"/api/reports?{query}")["reports"]]

    assert numbers("") == ["P5", "P4", "P3", "P2", "P1"]
    assert numbers("patient=P3") == numbers("accession=A3") == numbers("study=1.2.3") == ["P3"]
    assert numbers("status=PRELIMINARY") == ["P2"]
    assert numbers("date_from=2025-01-02&date_to=2025-01-03") == ["P3", "P2"]
    seen, address = [], "/api/reports?limit=2"
    while address:
        page = get(browser, address)
        seen += [each["patient_id"] for each in page["reports"]]
        address = f"/api/reports?limit=2&before={page['next']}" if page["next"] else ""
    assert seen == ["P5", "P4", "P3", "P2", "P1"]
    for wrong in ("status=DONE", "limit=0", "limit=x", "study=a", "date_from=1", "before=1", f"before={'9' * 20}-1"):
        get(browser, f"/api/reports?{wrong}", 400)
    assert AccessEvent.objects.filter(kind="search", rule="reports").exists()


def test_files_are_given_so_that_nothing_in_them_runs(
    browser: Http, make_person: MakePerson, make_study: MakeStudy
) -> None:
    browser.force_login(make_person("radiologist"))
    html = Attachment("text/html", "Page", b"<script>alert(1)</script>")
    link = Attachment("image/jpeg", "Key image", link="javascript:alert(1)")
    report = reported(make_study("1.2.3"), pdf=b"%PDF-1.7 x", attachments=(html, link))
    newest = get(browser, f"/api/reports/{report.pk}")["newest"]
    pdf = get(browser, newest["document"])
    assert (pdf.content, pdf["Content-Type"]) == (b"%PDF-1.7 x", "application/pdf")
    assert AccessEvent.objects.latest("sequence").bytes == 10
    file = get(browser, newest["attachments"][0]["url"])
    assert (file.content, file["Content-Type"]) == (html.data, "application/octet-stream")
    for answer in (pdf, file):
        assert answer["Content-Disposition"].startswith("attachment;")
        assert "sandbox" in answer["Content-Security-Policy"]
        assert answer["X-Content-Type-Options"] == "nosniff"
    assert newest["attachments"][1]["url"] == ""
    get(browser, f"/api/reports/{report.pk}/versions/1/attachments/2", 404)
    get(browser, f"/api/reports/{report.pk}/versions/1/attachments/{1 << 40}", 404)


@pytest.mark.parametrize(
    ("role", "status"),
    [
        ("administrator", 403),
        ("auditor", 403),
        ("technologist", 200),
        ("radiologist", 200),
        ("referring_physician", 200),
        ("nurse", 200),
        ("patient", 200),
    ],
)
def test_who_reads_reports(
    role: str, status: int, browser: Http, make_person: MakePerson, make_study: MakeStudy
) -> None:
    user = make_person(role)
    browser.force_login(user)
    mine, other = make_study("1.2.3", patient_id="P1"), make_study("1.2.4", patient_id="P2")
    Grant.objects.create(study=mine, user=user)
    report, others = reported(mine), reported(other)
    found = get(browser, f"/api/reports/{report.pk}", status)
    get(browser, "/api/reports", status)
    if status == 200:
        assert found["studies"] == ["1.2.3"]
        all_of_them = role in ("technologist", "radiologist")
        get(browser, f"/api/reports/{others.pk}", 200 if all_of_them else 404)
        assert len(get(browser, "/api/reports")["reports"]) == 1 + all_of_them
    else:
        assert AccessEvent.objects.filter(kind="refused", rule="reports").exists()


def test_a_referrer_reads_those_of_own_patients(browser: Http, make_person: MakePerson, make_study: MakeStudy) -> None:
    user = make_person("referring_physician")
    set_physician_names(user, ["REF^RUTH"])
    browser.force_login(user)
    mine = make_study("1.2.3", referring_physician_name="REF^RUTH", referring_physician_name_key="=ref^ruth=")
    reports = [reported(mine, "Preliminary.", "P"), reported(make_study("1.2.4", patient_id="P2"))]
    assert [each["id"] for each in get(browser, "/api/reports")["reports"]] in ([reports[0].pk], [])
    get(browser, f"/api/reports/{reports[1].pk}", 404)


def test_patients_are_given_what_is_signed(browser: Http, make_person: MakePerson, make_study: MakeStudy) -> None:
    user = make_person("patient")
    browser.force_login(user)
    study, other = make_study("1.2.3"), make_study("1.2.4", patient_id="P2")
    Grant.objects.create(study=study, user=user)
    Grant.objects.create(study=other, user=user)
    report, early = reported(study, "Not yet.", "P"), reported(other, "Not yet.", "P")
    assert get(browser, "/api/reports")["reports"] == []
    get(browser, f"/api/reports/{report.pk}", 404)
    reported(study)
    found = get(browser, f"/api/reports/{report.pk}")
    assert [row["version"] for row in found["versions"]] == [2]
    get(browser, f"/api/reports/{report.pk}/versions/1", 404)
    # That it was taken back is told, of what was told.
    reported(study, status="X")
    assert get(browser, f"/api/reports/{report.pk}")["status"] == "CANCELLED"
    reported(other, status="X")
    get(browser, f"/api/reports/{early.pk}", 404)


def test_what_was_never_signed_is_not_shown_by_taking_it_back(
    browser: Http, make_person: MakePerson, make_study: MakeStudy
) -> None:
    user = make_person("patient")
    browser.force_login(user)
    study = make_study("1.2.3")
    Grant.objects.create(study=study, user=user)
    # The third says what was signed, the others what never was.
    for text, status in (("Early.", "P"), ("Early.", "X"), ("Signed.", "F"), ("Signed.", "X"), ("Other.", "P")):
        report = reported(study, text, status)
    get(browser, f"/api/reports/{report.pk}", 404)
    reported(study, "Other.", "X")
    found = get(browser, f"/api/reports/{report.pk}")
    assert ([row["version"] for row in found["versions"]], found["newest"]["version"]) == ([4, 3], 4)
    for version in (1, 2, 5, 6):
        get(browser, f"/api/reports/{report.pk}/versions/{version}", 404)


def test_of_a_granted_series_the_report_is_not_given(
    browser: Http, make_person: MakePerson, make_study: MakeStudy
) -> None:
    user = make_person("referring_physician")
    browser.force_login(user)
    study = make_study("1.2.3")
    series = Series.objects.create(study=study, series_instance_uid="1.2.3.1")
    Grant.objects.create(series=series, user=user)
    report = reported(study)
    get(browser, f"/api/reports/{report.pk}", 404)
    get(browser, "/api/studies/1.2.3/reports", 404)


def test_what_is_closed_or_in_quarantine_closes_its_report(
    browser: Http, make_person: MakePerson, make_study: MakeStudy
) -> None:
    doctor = make_person("radiologist")
    browser.force_login(doctor)
    study = make_study("1.2.3")
    second = Study.objects.create(study_instance_uid="1.2.3.9", patient=study.patient)
    both = reported(study, study_instance_uids=("1.2.3", "1.2.3.9"))
    get(browser, f"/api/reports/{both.pk}")
    Study.objects.filter(pk=second.pk).update(quarantined=True)
    quarantine.forget()
    get(browser, f"/api/reports/{both.pk}", 404)
    Study.objects.filter(pk=second.pk).update(quarantined=False)
    restrict(second, Mark.VIP, "a well-known person")
    marks.forget()
    get(browser, f"/api/reports/{both.pk}", 404)
    get(browser, "/api/studies/1.2.3.9/reports", 403)
    begin(study.patient, "unconscious after an accident", 5, Acting(None, person(doctor, "")))
    get(browser, f"/api/reports/{both.pk}")
    assert AccessEvent.objects.latest("sequence").rule.startswith("emergency:")


def test_machines_and_roles_of_the_house(
    make_client: Callable[..., Any], make_token: Callable[..., str], make_person: MakePerson, make_study: MakeStudy,
    browser: Http,
) -> None:  # fmt: skip
    study = make_study("1.2.3")
    report = reported(study)
    vendor = make_client("ai_vendor")
    Grant.objects.create(study=study, client=vendor)
    answer = Http().get(f"/api/reports/{report.pk}", headers={"authorization": f"Bearer {make_token(vendor)}"})
    assert answer.status_code == 403
    role = CustomRole.objects.create(
        name="reader", title="Reader", rights={"search": "ALL", "read_reports": "ALL"}, withheld=["staff"]
    )
    browser.force_login(make_person("reader"))
    assert get(browser, f"/api/reports/{report.pk}")["newest"]["signed_by"] == ""
    # A report's text may say who the patient is.
    CustomRole.objects.filter(pk=role.pk).update(withheld=["identity"])
    get(browser, f"/api/reports/{report.pk}", 403)


def test_about_whom_after_accession_and_merges(browser: Http, make_person: MakePerson, make_study: MakeStudy) -> None:
    """The UIDs that a report names; where there is no such study, its accession numbers; of the same person only."""
    browser.force_login(make_person("radiologist"))
    study = make_study("1.2.3", accession_number="A7")
    stranger = make_study("1.2.4", patient_id="P2", accession_number="A7")
    numbers: dict[str, Any] = {"accessions": (EntityIdentifier("A7"),)}
    report = reported(study, study_instance_uids=("1.9.9",), **numbers)
    assert get(browser, f"/api/reports/{report.pk}")["studies"] == ["1.2.3"]
    Patient.objects.filter(pk=stranger.patient_id).update(merged_into=study.patient_id)
    Study.objects.filter(pk=stranger.pk).update(patient=study.patient)
    assert sorted(get(browser, f"/api/reports/{report.pk}")["studies"]) == ["1.2.3", "1.2.4"]
    named = Study.objects.create(study_instance_uid="1.9.9", patient=study.patient)
    assert get(browser, f"/api/reports/{report.pk}")["studies"] == [named.study_instance_uid]


def test_reports_that_wait_for_their_study(browser: Http, make_person: MakePerson, make_study: MakeStudy) -> None:
    browser.force_login(make_person("technologist"))
    study = make_study("1.2.3", patient_id="P1")
    report = reported(study, study_instance_uids=("1.9.9",), accessions=(EntityIdentifier("A9"),))
    assert get(browser, "/api/reports")["reports"] == []
    [listed] = get(browser, "/api/reports?matched=false")["reports"]
    assert (listed["id"], listed["studies"], listed["accession_numbers"]) == (report.pk, [], ["A9"])
    assert AccessEvent.objects.filter(kind="search").latest("sequence").patient_ids == ["P1"]
    get(browser, listed["url"], 404)
    restrict(study.patient, Mark.VIP, "a well-known person")
    marks.forget()
    assert get(browser, "/api/reports?matched=false")["reports"] == []
    browser.force_login(make_person("radiologist"))
    get(browser, "/api/reports?matched=false", 403)
    get(browser, "/api/reports?matched=maybe", 400)
