"""Reports for people: marked in the list, beside the images, with their versions, and nothing in them runs."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from django.test import Client as Browser
from PIL import Image

from access.models import Grant, User
from archive.models import Series, Study
from audit.models import AccessEvent
from reports.facts import Attachment
from reports.models import ReportVersion
from reports.visible import anything
from tests.reports.making import reported

pytestmark = pytest.mark.django_db
MakePerson = Callable[..., User]
MakeStudy = Callable[..., Study]


def pdf(pages: int) -> bytes:
    """Blank pages with a script that would run when it is opened, drawn by Pillow."""
    out = io.BytesIO()
    first, *others = (Image.new("RGB", (200, 280), (255, 250 - number, 240)) for number in range(pages))
    first.save(out, "PDF", save_all=True, append_images=others)
    return out.getvalue()


@pytest.fixture(autouse=True)
def asked_anew() -> None:
    anything.forget()


def page(browser: Browser, address: str, status: int = 200) -> str:
    answer = browser.get(address)
    assert answer.status_code == status, answer.content[:300]
    return answer.content.decode() if "text" in answer["Content-Type"] else ""


def test_the_list_marks_what_was_reported(browser: Browser, make_person: MakePerson, make_study: MakeStudy) -> None:
    browser.force_login(make_person("radiologist"))
    study, _ = make_study("1.2.3"), make_study("1.2.4", patient_id="P2")
    reported(study, "Not yet.", "P")
    text = page(browser, "/")
    assert text.count("report-mark") == 1
    assert "preliminary" in text
    assert 'href="/studies/1.2.3/reports/"' in text
    assert "Preliminary" in page(browser, "/studies/1.2.3/")
    reported(study)
    assert ": final</a>" in page(browser, "/")
    # Whoever may not read reports isn't told of them.
    other = make_person("administrator")
    browser.force_login(other)
    assert "report-mark" not in page(browser, "/")
    assert "report-mark" not in page(browser, "/studies/1.2.3/")
    page(browser, "/studies/1.2.3/reports/", 403)


def test_a_report_by_sections_and_versions(browser: Browser, make_person: MakePerson, make_study: MakeStudy) -> None:
    browser.force_login(make_person("radiologist"))
    study = make_study("1.2.3", patient_id="PAT-7")
    Series.objects.create(study=study, series_instance_uid="1.2.3.1", modality="CT", series_number=1)
    assert "no report about this study" in page(browser, "/studies/1.2.3/reports/")
    report = reported(study, "Line one.\nA <b>mass</b>.", "P")
    text = page(browser, "/studies/1.2.3/reports/")
    assert "Not signed yet" in text
    assert "A &lt;b&gt;mass&lt;/b&gt;." in text
    assert "Rita" in text or "RITA" in text
    assert "/dicom-web/studies/1.2.3/series/1.2.3.1/thumbnail" in text
    reported(study, "Line one.\nNo mass.")
    reported(study, "Line one.\nA small mass.", "C")
    text = page(browser, "/studies/1.2.3/reports/")
    assert "It replaces what was signed before" in text
    assert "<ins>A small mass.</ins>" in text
    assert "<del>No mass.</del>" in text
    first = page(browser, f"/studies/1.2.3/reports/?report={report.pk}&version=1")
    assert "Version 3 took its place" in first
    assert "What changed" not in first
    event = AccessEvent.objects.latest("sequence")
    assert (event.kind, event.study_uids, event.patient_ids) == ("report_read", ["1.2.3"], ["PAT-7"])
    reported(study, "Line one.", "W")
    assert "Entered in error" in page(browser, "/studies/1.2.3/reports/")
    for query in ("report=0", "report=x", f"report={report.pk}&version=9", f"report={'9' * 40}"):
        page(browser, f"/studies/1.2.3/reports/?{query}", 404)


def test_beside_the_viewer(browser: Browser, make_person: MakePerson, make_study: MakeStudy) -> None:
    browser.force_login(make_person("radiologist"))
    study = make_study("1.2.3")
    Series.objects.create(study=study, series_instance_uid="1.2.3.1", modality="CT")
    reported(study)
    answer = browser.get("/studies/1.2.3/read/")
    assert '<iframe class="reading-images" src="/viewer/viewer?StudyInstanceUIDs=1.2.3"' in answer.content.decode()
    assert "frame-src 'self'" in answer["Content-Security-Policy"]
    assert answer["Cross-Origin-Embedder-Policy"] == "require-corp"
    page(browser, "/studies/1.2.9/read/", 404)


def test_out_of_reach_it_is_not_there(browser: Browser, make_person: MakePerson, make_study: MakeStudy) -> None:
    user = make_person("referring_physician")
    browser.force_login(user)
    mine, other = make_study("1.2.3"), make_study("1.2.4", patient_id="P2")
    Grant.objects.create(study=mine, user=user)
    report, others = reported(mine, pdf=pdf(1)), reported(other, pdf=pdf(1))
    page(browser, f"/studies/1.2.3/reports/{report.pk}/versions/1/document/")
    for address in (
        "/studies/1.2.4/reports/",
        "/studies/1.2.4/read/",
        f"/studies/1.2.3/reports/?report={others.pk}",
        f"/studies/1.2.3/reports/{others.pk}/versions/1/document/",
        f"/studies/1.2.3/reports/{others.pk}/versions/1/document/1.png",
        f"/studies/1.2.4/reports/{report.pk}/versions/1/document/",
        f"/studies/1.2.3/reports/{report.pk}/versions/2/document/",
    ):
        page(browser, address, 404)


def test_pages_of_a_pdf_are_drawn(browser: Browser, make_person: MakePerson, make_study: MakeStudy) -> None:
    browser.force_login(make_person("radiologist"))
    study = make_study("1.2.3")
    at = f"/studies/1.2.3/reports/{reported(study, pdf=pdf(2)).pk}/versions/1/document/"
    text = page(browser, f"{at}?page=2")
    assert "Page 2 of 2" in text
    assert f'src="{at}2.png"' in text
    page(browser, f"{at}?page=3", 404)
    picture = browser.get(f"{at}2.png")
    assert (picture["Content-Type"], Image.open(io.BytesIO(picture.content)).size[0] > 100) == ("image/png", True)
    assert "sandbox" in picture["Content-Security-Policy"]
    page(browser, f"{at}3.png", 404)
    page(browser, f"{at}{'9' * 30}.png", 404)
    # One that can't be drawn can be saved all the same.
    ReportVersion.objects.update(pdf=b"%PDF-1.7 broken")
    assert "be drawn here" in page(browser, at)
    page(browser, f"{at}1.png", 404)


def test_links_lead_elsewhere_only_over_http(browser: Browser, make_person: MakePerson, make_study: MakeStudy) -> None:
    browser.force_login(make_person("radiologist"))
    links = (
        "https://ris.example/r?a=1&b=2",
        "javascript:alert(1)",
        "\\\\server\\share",
        "//other.example/x",
        "http://[",
    )
    files = tuple(Attachment("image/jpeg", f"Link {number}", link=link) for number, link in enumerate(links))
    reported(make_study("1.2.3"), attachments=files)
    text = page(browser, "/studies/1.2.3/reports/")
    assert 'href="https://ris.example/r?a=1&amp;b=2" rel="noopener noreferrer' in text
    for link in links[1:]:
        assert f'href="{link}' not in text
