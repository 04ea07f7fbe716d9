"""The pages about grants, and the overview and settings."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client as Browser
from pydantic import SecretStr

from access.marking import restrict
from access.models import Client, Grant, User
from access.restriction_models import Mark
from access.restrictions import marks
from administration.settings import rows, shown
from archive.models import Series, Study
from audit.models import AccessEvent
from pacs_project.config import Config
from tests.administration.conftest import SignedIn
from tools.setting_words import AIM, module

pytestmark = pytest.mark.django_db
Newest = Callable[[str], AccessEvent]
GRANTS = "/administration/grants/"
FORM = {"holder": "rita", "reach": "study", "study": "1.2.3", "rights": ["view"], "until": "2099-12-31"}


def text(response: Any) -> str:
    found: str = response.content.decode()
    return found


@pytest.fixture
def rita(make_person: Callable[..., User]) -> User:
    return make_person("referring_physician", username="rita")


@pytest.fixture
def study(make_study: Callable[..., Study]) -> Study:
    return make_study("1.2.3", patient_id="PID-77", name="SECRET^NAME")


def test_a_study(manager: Browser, rita: User, study: Study, newest: Newest) -> None:
    assert manager.post(GRANTS + "new", FORM).status_code == 302
    made = Grant.objects.get()
    assert (made.study, made.user, made.rights) == (study, rita, ["view"])
    assert made.granted_by is not None
    assert made.granted_by.username == "mara"
    assert made.valid_until is not None
    assert made.valid_until.isoformat().startswith("2099-12-31T23:59:59")
    event = newest("user_changed")
    assert (event.study_uids, event.principal_name) == (["1.2.3"], "mara")
    listed = text(manager.get(GRANTS))
    assert "PID-77" in listed
    assert "SECRET" not in listed
    assert newest("search").study_uids == ["1.2.3"]


def test_a_series_and_a_patient(manager: Browser, rita: User, study: Study) -> None:
    series = Series.objects.create(study=study, series_instance_uid="1.2.3.4")
    manager.post(GRANTS + "new", {**FORM, "reach": "series", "series": "1.2.3.4"})
    manager.post(GRANTS + "new", {**FORM, "reach": "patient", "patient_id": "PID-77", "until": ""})
    by_series, by_patient = Grant.objects.order_by("pk")
    assert (by_series.series, by_patient.patient, by_patient.valid_until) == (series, study.patient, None)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"holder": "nobody"}, "No person or client has this name"),
        ({"study": "9.9"}, "There is no study of this UID"),
        ({"study": ""}, "Say which one"),
        ({"study": "x"}, "valid"),
        ({"reach": "series", "series": "1.9"}, "There is no series of this UID"),
        ({"reach": "patient", "patient_id": "NOT-77"}, "There is no patient of this ID"),
        ({"rights": []}, "required"),
        ({"rights": ["everything"]}, "everything"),
        ({"until": "2001-01-01"}, "This day is over"),
        ({"until": "soon"}, "valid date"),
        ({"holder": "mara"}, "Nobody grants something to themselves"),
    ],
)
def test_what_was_typed_stays(manager: Browser, rita: User, study: Study, wrong: dict[str, Any], words: str) -> None:
    response = manager.post(GRANTS + "new", {**FORM, **wrong})
    assert response.status_code == 400
    assert words in text(response)
    assert f'value="{wrong.get("holder", "rita")}"' in text(response)
    assert not Grant.objects.exists()


def test_one_id_of_two_patients(manager: Browser, rita: User, make_study: Callable[..., Study]) -> None:
    for uid, issuer in (("1.1", "NORTH"), ("1.2", "SOUTH")):
        patient = make_study(uid, patient_id="P1").patient
        patient.issuer_of_patient_id, patient.unidentified_study_uid = issuer, ""
        patient.save()
    form = {**FORM, "reach": "patient", "patient_id": "P1"}
    assert "say who issued it" in text(manager.post(GRANTS + "new", form))
    manager.post(GRANTS + "new", {**form, "issuer": "SOUTH"})
    assert Grant.objects.get().patient.issuer_of_patient_id == "SOUTH"  # type: ignore[union-attr]


def test_a_marked_study_is_granted_by_who_does_not_see_it(manager: Browser, rita: User, study: Study) -> None:
    restrict(study, Mark.VIP, "Works here")
    marks.forget()
    assert manager.post(GRANTS + "new", FORM).status_code == 302
    assert Grant.objects.count() == 1
    listed = text(manager.get(GRANTS))
    assert "A study of a patient" in listed
    assert "PID-77" not in listed


def test_search_and_end(manager: Browser, rita: User, study: Study, make_client: Callable[..., Client]) -> None:
    mine = Grant.objects.create(study=study, user=rita)
    Grant.objects.create(patient=study.patient, client=make_client("ai_vendor", name="vendor"))
    for asked, count in (
        ({"holder": "RITA"}, 1),
        ({"patient": "PID-77"}, 2),
        ({"study": "1.2.3"}, 1),
        ({"state": "ended"}, 0),
        ({"holder": "\0", "state": "x", "study": "';--"}, 0),
    ):
        assert text(manager.post(GRANTS, asked)).count('<td class="what"') == count, asked
    assert manager.post(f"{GRANTS}{mine.pk}/end", {"back": "person"})["Location"].endswith(f"{rita.external_id}/")
    assert Grant.objects.active().count() == 1
    assert "ended" in text(manager.post(GRANTS, {"state": "ended"}))
    assert "had ended before" in text(manager.post(f"{GRANTS}{mine.pk}/end", follow=True))


def test_grants_of_links_are_not_here(manager: Browser, study: Study) -> None:
    from access.models import ShareLink

    link = ShareLink.objects.create(secret_digest="x", recipient="Dr. Far", purpose="p")
    found = Grant.objects.create(link=link, study=study, valid_until="2099-01-01T00:00:00Z")
    assert "Nothing is granted one by one" in text(manager.get(GRANTS))
    assert manager.post(f"{GRANTS}{found.pk}/end").status_code == 404


def test_patients_are_named_to_those_who_may_find_them(as_role: SignedIn, rita: User, study: Study) -> None:
    Grant.objects.create(study=study, user=rita)
    listed = text(as_role("auditor").get(GRANTS))
    assert "A study of a patient" in listed
    assert "PID-77" not in listed


def test_overview(manager: Browser, as_role: SignedIn, make_person: Callable[..., User]) -> None:
    first = text(manager.get("/administration/"))
    assert "nobody could help them" in first
    make_person("administrator")
    assert "nobody could help them" not in text(manager.get("/administration/"))
    for _ in range(12):
        as_role().post("/accounts/login/", {"username": "zoe", "password": "wrong"})
    assert "locked out" in text(manager.get("/administration/"))


class TestSettings:
    def test_each_has_a_meaning_and_a_source(self, manager: Browser) -> None:
        response = text(manager.get("/administration/settings/"))
        for row in rows(settings.PACS, "PACS_"):
            assert row.variable in response
            assert row.meaning, row.variable
            assert row.source in ("environment", "secrets file", "default", "made at the start")

    def test_no_secret_is_shown(self, manager: Browser) -> None:
        response = text(manager.get("/administration/settings/"))
        assert settings.PACS.secret_key.get_secret_value() not in response
        assert shown(SecretStr("x")) == "set"
        assert shown(SecretStr("")) == "not set"
        assert shown("postgresql://me:pass@db/pacs?password=pass") == "postgresql://db/pacs"
        odd = Config(redis_url="redis://:hunter2@127.0.0.1/0")
        assert "hunter2" not in str(list(rows(odd, "PACS_")))

    def test_the_words_are_those_of_the_documents(self) -> None:
        """``python -m tools.setting_words`` writes them again."""
        assert AIM.read_text() == module()
