"""The trail in pages: who opened this, what did they do, and nothing of it in an address."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from access.models import User
from audit.kinds import ACCESS, KINDS, READ_TRAIL, REFUSED, RETRIEVE, SEARCH, SIGN_IN_FAILED, TRAIL_REVIEWED
from audit.models import AccessEvent, SavedReview
from tests.access.conftest import MakePerson, MakeStudy
from tests.trail.conftest import NOON, Happen, body_of
from trail.criteria import Criteria
from trail.exports import COLUMNS, cell
from trail.groups import GROUPS, VERBS
from trail.pages import PAGE_SIZE

pytestmark = pytest.mark.django_db
ADDRESSES = (
    "/trail/", "/trail/events.csv", "/trail/events.xml", "/trail/alerts/", "/trail/reviews/", "/trail/disclosures",
    "/trail/disclosures.csv", "/fhir/metadata", "/fhir/AuditEvent", "/fhir/AuditEvent/1",
)  # fmt: skip


def newest() -> AccessEvent:
    return AccessEvent.objects.order_by("-sequence")[0]


def rows(page: str) -> int:
    return len(re.findall(r"<li[ >]", page))


@pytest.mark.parametrize("role", ["administrator", "radiologist", "technologist", "patient", "device"])
def test_nobody_else_comes_in(role: str, make_person: MakePerson) -> None:
    browser = Browser(HTTP_HOST="127.0.0.1")
    browser.force_login(make_person(role))
    for address in ADDRESSES:
        assert browser.get(address).status_code == 403, address
        assert (newest().kind, newest().rule) == ("refused", "right:audit_read")
    for address in ("/trail/", "/trail/alerts/1/", "/trail/reviews/", "/trail/disclosures", "/fhir/AuditEvent/_search"):
        assert browser.post(address).status_code == 403, address


def test_the_bar_leads_there(reading: Browser, make_person: MakePerson) -> None:
    assert 'href="/trail/"' in reading.get("/trail/").content.decode()
    other = Browser(HTTP_HOST="127.0.0.1")
    other.force_login(make_person("radiologist"))
    assert 'href="/trail/"' not in other.get("/").content.decode()


def test_who_opened_this_study(reading: Browser, happen: Happen, make_study: MakeStudy) -> None:
    study = make_study(
        "1.2.77", patient_id="P-9", accession_number="A-5", modalities_in_study=["CT"], study_date="20300102"
    )
    for number in range(3):
        happen(
            study_uids=["1.2.77"],
            series_uid=f"1.2.77.{number}",
            instance_count=100,
            at=NOON - timedelta(seconds=number),
        )
    happen(ACCESS, who="otto", study_uids=["1.2.77"])
    happen(who="nina", study_uids=["1.2.99"])
    for asked in (study.study_instance_uid, "A-5", "P-9"):
        answer = reading.post("/trail/", {"subject": asked}, follow=True)
        page = answer.content.decode()
        assert "rita" in page
        assert "otto" in page
        assert "nina" not in page
        assert "opened 300 images in 3 series of" in page
        assert "CT of 2030-01-02, accession A-5, patient P-9" in page
        where = urlsplit(answer.redirect_chain[-1][0])
        assert asked not in where.query
        assert newest().kind == "read_trail"
        assert newest().query == f"subject={asked}"
        assert newest().path == "/trail/"
    assert rows(reading.get("/trail/?study=1.2.77").content.decode()) == 2


def test_what_did_this_person_do(reading: Browser, happen: Happen, make_person: MakePerson) -> None:
    rita = make_person("radiologist", username="Rita")
    own = {"principal_id": str(rita.external_id), "token_id": "ab" * 16}
    happen(SEARCH, at=NOON, **own)
    happen(study_uids=["1.2.1"], at=NOON + timedelta(hours=1), **own)
    happen(study_uids=["1.2.2"], at=NOON + timedelta(hours=2), **own)
    happen(who="nobody", study_uids=["1.2.3"], source_ip="192.0.2.33", at=NOON)
    happen(SIGN_IN_FAILED, who="ghost", principal_id="", principal_kind="anonymous")
    for who, expected in (
        ("rita", 3),
        (str(rita.external_id), 3),
        ("ab" * 16, 3),
        ("192.0.2.33", 1),
        ("ghost", 1),
        ("x", 0),
    ):
        page = reading.post("/trail/", {"who": who}, follow=True).content.decode()
        assert rows(page) == expected, who
    between = {"who": "rita", "since": "2030-01-31T12:30", "until": "2030-01-31T13:30"}
    page = reading.post("/trail/", between, follow=True).content.decode()
    assert "1.2.1" in page
    assert "1.2.2" not in page


def test_refused_ones_stand_out_and_can_be_asked_for(reading: Browser, happen: Happen) -> None:
    happen(who="good")
    happen(REFUSED, who="evil", decision="deny", outcome=4, outcome_description="not granted")
    page = reading.get("/trail/").content.decode()
    assert page.count('<li class="refused">') == 1
    only = reading.post("/trail/", {"refused": "1"}, follow=True).content.decode()
    assert "evil" in only
    assert "good" not in only
    assert "not granted" in only


@pytest.mark.parametrize("group", GROUPS)
def test_groups(group: str, reading: Browser, happen: Happen) -> None:
    for kind in KINDS.values():
        happen(kind, who=f"who-{kind.name}.")
    page = reading.get(f"/trail/?group={group}").content.decode()
    shown = {name for name in KINDS if f"who-{name}." in page}
    assert shown == set(GROUPS[group].kinds)


def test_every_kind_has_a_group_and_words() -> None:
    assert sorted(name for group in GROUPS.values() for name in group.kinds) == sorted(KINDS)
    assert set(VERBS) <= set(KINDS)


def test_a_row_opens_to_the_whole_event_and_its_proof(reading: Browser, happen: Happen) -> None:
    made = happen(request_id="req-7", bytes=12_345, query="metadata", patient_ids=["P-1"], user_agent="<b>curl</b>")
    page = reading.get("/trail/").content.decode()
    assert f"./pacs audit proof {made.pk}" in page
    for text in ("req-7", "12,345", "metadata", "P-1", "192.0.2.9", "&lt;b&gt;curl&lt;/b&gt;", "110104"):
        assert text in page, text


def test_pages_go_on_where_the_one_before_ended(reading: Browser, happen: Happen) -> None:
    for number in range(PAGE_SIZE + 30):
        happen(who=f"p{number:03}.")
    first = reading.get("/trail/")
    assert rows(first.content.decode()) == PAGE_SIZE
    # What is read meanwhile comes at the top: nothing is seen twice or missed.
    happen(who="late")
    second = reading.get(f"/trail/?before={first.context['page'].older}").content.decode()
    assert "p029." in second
    assert "p030." not in second
    assert "late" not in second
    assert "← Newest" in second
    for odd in ("0", "x", "9" * 30, "-1", "1e3", "\0"):
        assert reading.get("/trail/", {"before": odd}).status_code == 200, odd


def test_queries_do_not_grow_with_rows(reading: Browser, happen: Happen, make_study: MakeStudy) -> None:
    def count(address: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            body_of(reading.get(address))
        return len(captured)

    addresses = (
        "/trail/",
        "/trail/?who=rita",
        "/trail/events.csv",
        "/trail/events.xml",
        "/fhir/AuditEvent",
        "/trail/alerts/",
    )
    make_study("1.2.500", patient_id="P-500")
    happen(study_uids=["1.2.500"])
    reading.get("/trail/")
    before = {address: count(address) for address in addresses}
    for number in range(40):
        make_study(f"1.2.{number}", patient_id=f"P-{number}")
        happen(study_uids=[f"1.2.{number}"])
    assert {address: count(address) for address in addresses} == before


def test_bad_questions_are_told(reading: Browser) -> None:
    for asked in ({"since": "yesterday"}, {"group": "x"}, {"since": "2030-01-02", "until": "2030-01-01"}):
        answer = reading.get("/trail/", asked)
        assert answer.status_code == 400, asked
        assert 'role="alert"' in answer.content.decode()
        assert reading.get("/trail/events.csv", asked).status_code == 400
    assert reading.get("/trail/", {"study": "a\0b"}).status_code == 400
    assert reading.get("/trail/", {"refused": "\0"}).status_code == 400
    assert reading.get("/trail/", {"who": "fe80::1%eth0"}).status_code == 200
    assert (
        reading.get("/trail/", {"who": "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")}).status_code == 200
    )


def test_every_look_is_in_the_trail(reading: Browser, auditor: User) -> None:
    for address in ADDRESSES[:5]:
        before = newest().pk if AccessEvent.objects.exists() else 0
        answer = reading.get(address)
        body_of(answer)
        assert answer.status_code == 200, address
        assert AccessEvent.objects.filter(pk__gt=before, kind=READ_TRAIL.name).count() == 1, address
        assert newest().principal_id == str(auditor.external_id)


class TestFiles:
    """CSV and XML of what matches."""

    def test_csv(self, machine: Browser, happen: Happen) -> None:
        happen(who="=cmd|' /C calc'!A0", study_uids=["1.2.3", "1.2.4"], query='a "quoted", one\r\nline')
        happen(who="otto")
        answer = machine.get("/trail/events.csv?study=1.2.3")
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        assert answer["Content-Disposition"] == 'attachment; filename="trail.csv"'
        rows = list(csv.DictReader(io.StringIO(body_of(answer).removeprefix("\ufeff"), newline="")))
        assert len(rows) == 1
        assert tuple(rows[0]) == COLUMNS
        assert rows[0]["principal_name"] == "'=cmd|' /C calc'!A0"
        assert rows[0]["study_uids"] == "1.2.3 1.2.4"
        assert rows[0]["query"] == 'a "quoted", one\r\nline'

    @pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx", " =1", "\n=1"])
    def test_no_cell_is_a_formula(self, text: str) -> None:
        assert cell(text) == f"'{text}"
        assert cell([text.strip(), "1.2"]).startswith("'") == text.strip().startswith(("=", "+", "-", "@"))

    def test_other_cells_stay(self) -> None:
        values: tuple[object, ...] = ("a=b", 5, None, "", [], "1.2")
        assert [cell(value) for value in values] == ["a=b", "5", "", "", "", "1.2"]

    def test_xml(self, machine: Browser, happen: Happen, make_study: MakeStudy) -> None:
        make_study("1.2.3", patient_id="P-3")
        for _ in range(3):
            happen(study_uids=["1.2.3"], query="\x1b")
        answer = machine.get("/trail/events.xml?study=1.2.3")
        root = ElementTree.fromstring(body_of(answer))  # noqa: S314 - ours
        assert (root.tag, [each.tag for each in root]) == ("AuditMessages", ["AuditMessage"] * 3)
        assert root.find(".//ParticipantObjectIdentification[@ParticipantObjectID='P-3']") is not None

    def test_more_than_one_statement_brings(
        self, machine: Browser, happen: Happen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("trail.filters.CHUNK", 7)
        for number in range(20):
            happen(who=f"w{number}")
        rows = list(
            csv.DictReader(io.StringIO(body_of(machine.get("/trail/events.csv?group=read")).removeprefix("\ufeff")))
        )
        assert [row["principal_name"] for row in rows] == [f"w{number}" for number in reversed(range(20))]

    def test_the_file_is_of_what_the_page_asked(self, reading: Browser, happen: Happen) -> None:
        happen(who="rita", patient_ids=["P-1"])
        happen(who="otto", patient_ids=["P-2"])
        page = reading.post("/trail/", {"subject": "P-1"}, follow=True)
        file = body_of(reading.get(f"/trail/events.csv?{page.context['query']}"))
        assert "rita" in file
        assert "otto" not in file


class TestReviews:
    """A question that is asked again and again."""

    def test_from_question_to_review(self, reading: Browser, happen: Happen) -> None:
        happen(REFUSED, who="evil", decision="deny", outcome=4)
        assert reading.post("/trail/reviews/", {"name": "Refusals", "refused": "1"}).status_code == 302
        saved = SavedReview.objects.get()
        assert (saved.asked, saved.made_by) == ({"refused": "1"}, "ada")
        assert newest().kind == TRAIL_REVIEWED.name
        listed = reading.get("/trail/reviews/")
        assert [row.new for row in listed.context["rows"]] == [1]
        page = reading.get(f"/trail/reviews/{saved.external_id}/")
        assert "evil" in page.content.decode()
        newest_seen = page.context["page"].newest
        reading.post(f"/trail/reviews/{saved.external_id}/", {"to": newest_seen, "comment": "asked them"})
        assert newest().outcome_description == f"review Refusals: reviewed up to event {newest_seen}: asked them"
        saved.refresh_from_db()
        assert (saved.reviewed_to, saved.reviewed_by) == (newest_seen, "ada")
        assert [row.new for row in reading.get("/trail/reviews/").context["rows"]] == [0]
        assert "Nothing new" in reading.get(f"/trail/reviews/{saved.external_id}/").content.decode()
        assert "evil" in reading.get(f"/trail/reviews/{saved.external_id}/?all=1").content.decode()
        happen(REFUSED, who="worse", decision="deny", outcome=4)
        assert [row.new for row in reading.get("/trail/reviews/").context["rows"]] == [1]

    def test_never_backwards(self, reading: Browser) -> None:
        saved = SavedReview.objects.create(name="x", reviewed_to=50)
        reading.post(f"/trail/reviews/{saved.external_id}/", {"to": 40})
        saved.refresh_from_db()
        assert (saved.reviewed_to, saved.reviewed_by) == (50, "")
        for odd in ("", "x", "-1", "9" * 40):
            assert reading.post(f"/trail/reviews/{saved.external_id}/", {"to": odd}).status_code == 302

    def test_nobody_reviews_what_is_still_to_come(self, reading: Browser, happen: Happen) -> None:
        saved = SavedReview.objects.create(name="x")
        for to in (happen().pk + 1_000, 2**63 - 1):
            reading.post(f"/trail/reviews/{saved.external_id}/", {"to": to})
            saved.refresh_from_db()
            assert (saved.reviewed_to, saved.reviewed_by) == (0, ""), to

    def test_names_and_removal(self, reading: Browser) -> None:
        assert reading.post("/trail/reviews/", {"name": ""}).status_code == 400
        assert reading.post("/trail/reviews/", {"name": "A", "since": "x"}).status_code == 400
        assert reading.post("/trail/reviews/", {"name": "A", "refused": "\0"}).status_code == 400
        assert reading.post("/trail/reviews/", {"name": "A"}).status_code == 302
        assert reading.post("/trail/reviews/", {"name": "A"}).status_code == 400
        saved = SavedReview.objects.get()
        reading.post(f"/trail/reviews/{saved.external_id}/remove")
        assert not SavedReview.objects.exists()
        assert newest().outcome_description == "saved review removed: A"
        assert reading.get(f"/trail/reviews/{saved.external_id}/").status_code == 404


def test_the_form_and_the_filter_have_the_same_fields() -> None:
    form = Criteria({"subject": "s", "who": "w", "group": "read", "request_id": "r", "since": "2030-01-01",
                     "until": "2030-01-02T03:04:05", "refused": "1"})  # fmt: skip
    assert form.is_valid()
    words = form.filter(after=3).words()
    assert words == (
        "subject=s&who=w&group=read&request_id=r&since=2030-01-01T00:00:00+00:00&until=2030-01-02T03:04:05+00:00"
        "&refused=True&after=3"
    )
    assert RETRIEVE.name in GROUPS["read"].kinds
