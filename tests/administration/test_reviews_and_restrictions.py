"""The pages that look afterwards: emergency accesses, access reviews; and those that close studies."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from access.acting import Acting
from access.authentication import person
from access.emergency import begin
from access.emergency_models import EmergencyAccess
from access.models import Restriction, ReviewCampaign, User
from access.restrictions import marks
from audit.models import AccessEvent
from tests.administration.conftest import SignedIn

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db
REASON = "unconscious after an accident, images wanted in theatre"


@pytest.fixture(autouse=True)
def nothing_believed() -> None:
    marks.forget()


@pytest.fixture
def begun(make_person: Make, make_study: Make) -> EmergencyAccess:
    """rita opened a patient."""
    rita = make_person("radiologist", "administrator", username="rita")
    study = make_study("1.2.1", name="VIPSON^VERA", patient_id="VIP1")
    return begin(study.patient, REASON, 30, Acting(None, person(rita, "")))


class TestEmergencies:
    """The review queue."""

    ADDRESS = "/administration/emergencies/"

    @pytest.mark.parametrize("role", ["administrator", "auditor"])
    def test_somebody_judges(self, as_role: SignedIn, begun: EmergencyAccess, role: str) -> None:
        window = as_role(role)
        listed = window.get(self.ADDRESS).content.decode()
        assert "rita" in listed
        assert REASON in listed
        assert "VIP1" not in listed
        page = window.get(f"{self.ADDRESS}{begun.external_id}/")
        assert "ID VIP1" in page.content.decode()
        assert AccessEvent.objects.filter(kind="read_trail").count() == 1
        given = {"id": str(begun.external_id), "verdict": "justified"}
        assert window.post(self.ADDRESS, given).status_code == 302
        begun.refresh_from_db()
        assert (begun.verdict, begun.reviewed_by is not None) == ("justified", True)
        assert AccessEvent.objects.filter(kind="emergency_reviewed").count() == 1
        assert "Somebody has said so already" in window.post(self.ADDRESS, given, follow=True).content.decode()

    def test_not_justified_wants_words(self, manager: Browser, begun: EmergencyAccess) -> None:
        given = {"id": str(begun.external_id), "verdict": "not_justified"}
        response = manager.post(self.ADDRESS, given)
        assert response.status_code == 400
        assert "Say why" in response.content.decode()
        assert manager.post(self.ADDRESS, given | {"comment": "told the chief"}).status_code == 302
        begun.refresh_from_db()
        assert begun.comment == "told the chief"

    def test_one_s_own_and_nonsense(self, begun: EmergencyAccess, manager: Browser) -> None:
        own = Browser(HTTP_ACCEPT="text/html", HTTP_HOST="127.0.0.1")
        own.force_login(begun.user)
        assert "<textarea" not in own.get(f"{self.ADDRESS}{begun.external_id}/").content.decode()
        given = {"id": str(begun.external_id), "verdict": "justified"}
        assert "Somebody else has to" in own.post(self.ADDRESS, given, follow=True).content.decode()
        for wrong in ({"id": "x"}, {"id": "00000000-0000-0000-0000-000000000000", "verdict": "justified"}, {}):
            assert manager.post(self.ADDRESS, wrong).status_code == 404, wrong
        assert manager.post(self.ADDRESS, given | {"verdict": "maybe"}).status_code == 400
        begun.refresh_from_db()
        assert begun.verdict == ""

    def test_the_overview_says_that_one_waits(self, manager: Browser, begun: EmergencyAccess) -> None:
        assert "emergency access nobody has looked at" in manager.get("/administration/").content.decode()


class TestRestrictions:
    """Marks."""

    ADDRESS = "/administration/restrictions/"

    def test_setting_and_taking_away(self, manager: Browser, make_study: Make) -> None:
        make_study("1.2.1", patient_id="P77")
        given = {"mark": "vip", "reach": "patient", "patient_id": "P77", "reason": "a neighbour"}
        assert manager.post(f"{self.ADDRESS}new", given).status_code == 302
        restriction = Restriction.objects.get()
        assert restriction.set_by == User.objects.get(username="mara")
        event = AccessEvent.objects.get(kind="restricted")
        assert (event.principal_name, event.patient_ids, event.purpose) == ("mara", ["P77"], "a neighbour")
        listed = manager.get(self.ADDRESS).content.decode()
        assert "P77" in listed
        assert "a neighbour" in listed
        assert manager.post(f"{self.ADDRESS}end", {"id": restriction.pk}).status_code == 302
        assert not Restriction.objects.active().exists()
        assert AccessEvent.objects.filter(kind="unrestricted").count() == 1

    def test_a_study_that_is_closed_can_be_marked_again(self, manager: Browser, make_study: Make) -> None:
        make_study("1.2.1")
        given = {"mark": "vip", "reach": "study", "study": "1.2.1", "reason": "why", "until": "2999-12-31"}
        for _ in range(2):
            assert manager.post(f"{self.ADDRESS}new", given).status_code == 302
            marks.forget()
        assert Restriction.objects.active().count() == 1

    @pytest.mark.parametrize(
        "changed",
        [{"mark": "x"}, {"reach": ""}, {"patient_id": ""}, {"patient_id": "nobody"}, {"patient_id": "\0"},
         {"reason": ""}, {"until": "2001-01-01"}, {"until": "soon"}, {"reach": "study", "study": "1.2.9"},
         {"reach": "study", "study": "../x"}],
    )  # fmt: skip
    def test_what_is_wrong(self, manager: Browser, make_study: Make, changed: dict[str, str]) -> None:
        make_study("1.2.1", patient_id="P77")
        given = {"mark": "vip", "reach": "patient", "patient_id": "P77", "reason": "why"} | changed
        response = manager.post(f"{self.ADDRESS}new", given)
        assert response.status_code == 400
        assert 'role="alert"' in response.content.decode()
        assert not Restriction.objects.exists()

    @pytest.mark.parametrize("text", ["", "x", "-1", "9" * 30, "\u0661", "7"])
    def test_ending_what_is_not_there(self, manager: Browser, text: str) -> None:
        assert manager.post(f"{self.ADDRESS}end", {"id": text}).status_code == 404


class TestReviews:
    """Campaigns, and the report."""

    ADDRESS = "/administration/reviews/"

    def test_a_campaign(self, manager: Browser, make_person: Make, make_client: Make) -> None:
        rita, machine = make_person("radiologist", "technologist", username="rita"), make_client("device")
        due = timezone.localdate() + timedelta(days=7)
        response = manager.post(f"{self.ADDRESS}new", {"title": "Autumn", "due": due.isoformat()})
        campaign = ReviewCampaign.objects.get()
        assert response["Location"] == f"{self.ADDRESS}{campaign.external_id}/"
        page = manager.get(response["Location"]).content.decode()
        assert "3 of 3 accounts left" in page
        assert page.count("Your own: somebody else decides.") == 1
        decided = {"decision": "revoke", "roles": ["technologist"]}
        assert manager.post(f"{response['Location']}{rita.external_id}", decided).status_code == 302
        assert [role.role for role in rita.roles.all()] == ["radiologist"]
        assert manager.post(f"{response['Location']}{machine.external_id}", {"decision": "keep"}).status_code == 302
        again = manager.post(f"{response['Location']}{machine.external_id}", {"decision": "switch_off"}, follow=True)
        assert "decided already" in again.content.decode()
        assert "1 of 3 accounts left" in again.content.decode()
        for wrong in ({"decision": "x"}, {}):
            assert manager.post(f"{response['Location']}{rita.external_id}", wrong).status_code == 404
        ReviewCampaign.objects.update(due=timezone.localdate() - timedelta(days=1))
        assert "overdue" in manager.get(self.ADDRESS).content.decode()
        assert "access review is overdue" in manager.get("/administration/").content.decode()

    @pytest.mark.parametrize("changed", [{"title": ""}, {"due": ""}, {"due": "2001-01-01"}, {"title": "\0"}])
    def test_what_is_wrong(self, manager: Browser, changed: dict[str, str]) -> None:
        given = {"title": "Autumn", "due": "2999-01-01"} | changed
        assert manager.post(f"{self.ADDRESS}new", given).status_code == 400
        assert not ReviewCampaign.objects.exists()

    def test_the_report_for_programs(self, as_role: SignedIn, machine: Make, make_person: Make) -> None:
        make_person("radiologist", username="=1+1")
        auditor = as_role("auditor")
        for address in (f"{self.ADDRESS}accounts.csv", "/api/access-review.csv"):
            response = auditor.get(address)
            assert (response.status_code, response["Content-Type"]) == (200, "text/csv; charset=utf-8")
            lines = list(csv.DictReader(io.StringIO(response.content.decode())))
            assert "'=1+1" in [line["name"] for line in lines]
        told = machine("auditor").get("/api/access-review")
        assert {"=1+1", User.objects.get(username__startswith="auditor").username} <= {
            account["name"] for account in told.json()
        }
        assert machine("radiologist").get("/api/access-review").status_code == 403
        assert as_role("radiologist").get("/api/access-review.csv").status_code == 403
        queries = set(AccessEvent.objects.filter(rule="manage", kind="search").values_list("query", flat=True))
        assert {"access review", "access review as CSV"} <= queries
