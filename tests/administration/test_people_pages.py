"""The pages about people: making, changing and ending accounts, and what nobody may do."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from access.managers import managers
from access.models import CustomRole, SecondFactor, ShareLink, User
from access.people import set_roles
from access.principal import Limit, LimitKind
from audit.models import AccessEvent
from tests.administration.conftest import PASSWORD, SignedIn

pytestmark = pytest.mark.django_db
Newest = Callable[[str], AccessEvent]
PEOPLE = "/administration/people/"


def page_of(user: User) -> str:
    return f"{PEOPLE}{user.external_id}/"


def text(response: object) -> str:
    return response.content.decode()  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def rita(make_person: Callable[..., User]) -> User:
    return make_person("radiologist", username="rita", password=PASSWORD)


@pytest.fixture
def other(make_person: Callable[..., User]) -> User:
    """Another administrator, so that the last one isn't in the way."""
    return make_person("administrator", username="olga")


class TestList:
    def test_names_are_searched_for_in_no_address(self, manager: Browser, rita: User, newest: Newest) -> None:
        rita.last_name = "Reader"
        rita.save()
        response = manager.post(PEOPLE, {"words": "READ rit"})
        assert "rita" in text(response)
        assert ">mara<" not in text(response).partition("<tbody>")[2]
        assert newest("search").query == "people named READ rit"
        assert "Nobody matches" in text(manager.post(PEOPLE, {"words": "xyz"}))
        assert (
            manager.post(PEOPLE, {"words": "a\0b", "page": "9999999", "role": "\0", "show": "zzz"}).status_code == 200
        )

    def test_filters(self, manager: Browser, rita: User, make_person: Callable[..., User]) -> None:
        make_person("nurse", username="gone", active=False)
        old = make_person("nurse", username="old")
        long_ago = timezone.now() - timedelta(days=400)
        User.objects.filter(pk=old.pk).update(date_joined=long_ago)
        SecondFactor.objects.create(user=rita, kind="app", name="telephone")

        def listed(**asked: str) -> set[str]:
            rows = text(manager.get(PEOPLE, asked)).partition("<tbody>")[2]
            return {name for name in ("mara", "rita", "gone", "old") if f">{name}</a>" in rows}

        assert listed() == {"mara", "rita", "gone", "old"}
        assert listed(show="off") == {"gone"}
        assert listed(show="active", role="nurse") == {"old"}
        assert listed(show="managers") == {"mara"}
        assert listed(show="dormant") == {"old"}
        assert listed(show="unproved") == {"mara", "old"}

    def test_pages(self, manager: Browser, make_person: Callable[..., User]) -> None:
        for number in range(60):
            make_person("nurse", username=f"nurse-{number:02}")
        assert "nurse-48" in text(manager.get(PEOPLE))
        second = text(manager.post(PEOPLE, {"page": "2"}))
        assert "nurse-59" in second
        assert "nurse-10" not in second


class TestNewPerson:
    FORM = {"username": "dr.example", "first_name": "Ada", "roles": ["referring_physician"], "reason": "New practice"}

    def test_the_password_is_shown_once_and_works(self, manager: Browser, browser: Browser, newest: Newest) -> None:
        response = manager.post(PEOPLE + "new", self.FORM)
        assert response.status_code == 201
        assert response["Cache-Control"] == "no-store"
        password = text(response).partition('id="secret"')[2].partition('value="')[2].partition('"')[0]
        user = User.objects.get(username="dr.example")
        assert user.check_password(password)
        assert (user.first_name, user.is_staff, user.is_superuser) == ("Ada", False, False)
        assert password not in text(manager.get(page_of(user)))
        event = newest("roles_changed")
        assert event.outcome_description == f"person {user.external_id} has now referring_physician; had no role"
        assert (event.principal_name, event.purpose, event.request_id != "") == ("mara", "New practice", True)
        assert password not in str(list(AccessEvent.objects.values()))

    def test_what_was_typed_stays_and_says_what_is_wrong(self, manager: Browser, rita: User) -> None:
        response = manager.post(PEOPLE + "new", {**self.FORM, "username": "RITA", "limit_kind_referring_physician": ""})
        assert response.status_code == 400
        assert "taken, or was once" in text(response)
        assert 'value="RITA"' in text(response)
        assert 'value="Ada"' in text(response)
        assert 'value="referring_physician" checked' in text(response)
        wrongs: list[dict[str, Any]] = [{"username": "a b"}, {"roles": []}, {"roles": ["king"]}, {"email": "x"}]
        for wrong in (*wrongs, {"username": "a\0b"}):
            assert manager.post(PEOPLE + "new", {**self.FORM, **wrong}).status_code == 400, wrong
        assert User.objects.count() == 2

    def test_tricks_are_ignored(self, manager: Browser) -> None:
        tricks = {"is_superuser": "1", "is_staff": "1", "user_permissions": "1", "external_id": "x", "is_active": "0"}
        manager.post(PEOPLE + "new", {**self.FORM, **tricks})
        user = User.objects.get(username="dr.example")
        assert (user.is_superuser, user.is_staff, user.is_active) == (False, False, True)

    def test_with_limits(self, manager: Browser) -> None:
        limits = {"limit_kind_nurse": "department", "limit_values_nurse": "Ward 3\n Ward 4 \n\nWard 3"}
        manager.post(PEOPLE + "new", {**self.FORM, "roles": ["nurse"], **limits})
        row = User.objects.get(username="dr.example").roles.get()
        assert (row.limit_kind, row.limit_values) == ("department", ["Ward 3", "Ward 4"])
        response = manager.post(
            PEOPLE + "new", {**self.FORM, "username": "x", "roles": ["nurse"], "limit_kind_nurse": "site"}
        )
        assert response.status_code == 400
        assert "one a line" in text(response)


class TestRoles:
    def test_change_with_who_when_why(self, manager: Browser, rita: User, newest: Newest) -> None:
        response = manager.post(page_of(rita) + "roles", {"roles": ["nurse", "auditor"], "reason": "Moves to the ward"})
        assert response.status_code == 302
        assert set(rita.roles.values_list("role", flat=True)) == {"nurse", "auditor"}
        assert {role.given_by.username for role in rita.roles.all() if role.given_by} == {"mara"}
        shown = text(manager.get(page_of(rita)))
        assert "given Auditor, Nurse; taken Radiologist, by mara" in shown
        assert "Moves to the ward" in shown
        event = newest("roles_changed")
        assert event.outcome_description == f"person {rita.external_id} has now auditor, nurse; had radiologist"
        assert (event.purpose, event.principal_name, event.path) == (
            "Moves to the ward",
            "mara",
            "/administration/people/<uuid:person>/roles",
        )

    def test_a_reason_is_needed_and_what_was_chosen_stays(self, manager: Browser, rita: User) -> None:
        response = manager.post(page_of(rita) + "roles", {"roles": ["nurse"], "reason": ""})
        assert response.status_code == 400
        assert 'value="nurse" checked' in text(response)
        assert set(rita.roles.values_list("role", flat=True)) == {"radiologist"}

    def test_nothing_new_leaves_no_event(self, manager: Browser, rita: User) -> None:
        before = AccessEvent.objects.filter(kind="roles_changed").count()
        manager.post(page_of(rita) + "roles", {"roles": ["radiologist"], "reason": "x"})
        assert AccessEvent.objects.filter(kind="roles_changed").count() == before

    def test_limits_come_go_and_stay(self, manager: Browser, rita: User) -> None:
        form = {"roles": ["radiologist"], "reason": "x", "limit_kind_radiologist": "site"}
        manager.post(page_of(rita) + "roles", {**form, "limit_values_radiologist": "North; and South"})
        assert rita.roles.get().limit_values == ["North; and South"]
        assert "Radiologist (site: North; and South)" in text(manager.get(page_of(rita)))
        set_roles(rita, ["radiologist", "auditor"])
        assert rita.roles.get(role="radiologist").limit_values == ["North; and South"]
        set_roles(rita, ["radiologist"], limits={"radiologist": Limit(LimitKind.ISSUER, ("HOSP",))})
        assert (rita.roles.get().limit_kind, rita.roles.get().limit_values) == ("issuer", ["HOSP"])
        manager.post(page_of(rita) + "roles", {"roles": ["radiologist"], "reason": "x"})
        assert rita.roles.get().limit_kind == ""

    def test_nobody_changes_their_own(self, manager: Browser, other: User) -> None:
        mara = User.objects.get(username="mara")
        for address, form in (
            ("roles", {"roles": ["administrator", "radiologist"], "reason": "x"}),
            ("off", {"reason": "x"}),
            ("leave", {"reason": "x"}),
            ("password", {}),
            ("second-factor", {}),
            ("physician", {"names": "Doe^John"}),
        ):
            response = manager.post(page_of(mara) + address, form, follow=True)
            assert 'role="alert"' in text(response), address
        mara.refresh_from_db()
        assert mara.is_active
        assert list(mara.roles.values_list("role", flat=True)) == ["administrator"]
        shown = text(manager.get(page_of(mara)))
        assert "This is you" in shown
        assert page_of(mara) + "roles" not in shown

    def test_a_manager_must_stay(self, as_role: SignedIn, make_person: Callable[..., User]) -> None:
        CustomRole.objects.create(name="chief", title="Chief", rights={"manage": "ALL"})
        chief = as_role("chief", username="carla")
        last = make_person("administrator", username="olga")
        User.objects.filter(username="carla").update(is_active=True)
        assert len(managers()) == 2
        chief.post(page_of(last) + "off", {"reason": "x"})
        last.refresh_from_db()
        assert not last.is_active
        with pytest.raises(Exception, match="last person who may manage"):
            set_roles(User.objects.get(username="carla"), ["nurse"])


class TestSigningIn:
    def test_a_new_password_ends_the_sessions(self, manager: Browser, browser: Browser, rita: User) -> None:
        window = Browser(HTTP_HOST="127.0.0.1")
        window.force_login(rita)
        assert "End" in text(manager.get(page_of(rita)))
        response = manager.post(page_of(rita) + "password")
        assert response.status_code == 201
        password = text(response).partition('id="secret"')[2].partition('value="')[2].partition('"')[0]
        rita.refresh_from_db()
        assert rita.check_password(password)
        assert window.get("/api/whoami").status_code == 401

    def test_one_session_is_ended(self, manager: Browser, rita: User, newest: Newest) -> None:
        windows = [Browser(HTTP_HOST="127.0.0.1"), Browser(HTTP_HOST="127.0.0.1")]
        for window in windows:
            window.force_login(rita)
        first = rita.sessions.order_by("started_at").first()
        assert first is not None
        response = manager.post(f"/administration/sessions/{first.pk}/end", {"back": "person"})
        assert response["Location"] == page_of(rita)
        assert [window.get("/api/whoami").status_code for window in windows] == [401, 200]
        assert newest("user_changed").outcome_description.endswith(f"session {first.pk} ended")
        manager.post(f"/administration/sessions/{rita.sessions.get().pk}/end")
        assert windows[1].get("/api/whoami").status_code == 401

    def test_the_second_factor_is_taken_away(self, manager: Browser, rita: User, newest: Newest) -> None:
        SecondFactor.objects.create(user=rita, kind="app", name="telephone")
        assert "telephone" in text(manager.get(page_of(rita)))
        manager.post(page_of(rita) + "second-factor")
        assert not rita.second_factors.exists()
        assert "second factor" in newest("user_changed").outcome_description

    def test_who_was_away_from_the_desk_is_asked_again(self, manager: Browser, rita: User) -> None:
        session = manager.session
        session["proved_at"] = 0
        session.save()
        for address in ("roles", "off", "leave", "password", "second-factor", "physician"):
            response = manager.post(page_of(rita) + address, {"roles": ["nurse"], "reason": "x"})
            assert response.status_code == 302, address
            assert response["Location"].startswith("/account/confirm"), address
        assert manager.get(PEOPLE + "new")["Location"].startswith("/account/confirm")
        rita.refresh_from_db()
        assert rita.is_active
        assert list(rita.roles.values_list("role", flat=True)) == ["radiologist"]


class TestActivity:
    def test_what_somebody_did_about_accounts(
        self, manager: Browser, as_role: SignedIn, rita: User, newest: Newest
    ) -> None:
        manager.post(page_of(rita) + "roles", {"roles": ["nurse"], "reason": "x"})
        AccessEvent.objects.create(
            kind="retrieve",
            action="R",
            principal_kind="person",
            principal_id=str(rita.external_id),
            study_uids=["1.2.9"],
        )
        mara = User.objects.get(username="mara")
        shown = text(manager.get(page_of(mara) + "activity"))
        assert "changed roles" in shown
        assert "has now nurse; had radiologist" in shown
        assert (newest("read_trail").principal_name, newest("read_trail").rule) == ("mara", "manage")
        assert "/trail/" not in shown.partition('id="content"')[2]
        nothing = text(manager.get(page_of(rita) + "activity"))
        assert "Nothing in the last" in nothing
        assert "1.2.9" not in nothing
        for_auditors = text(as_role("auditor").get(page_of(rita) + "activity"))
        assert f"/trail/?who={rita.external_id}" in for_auditors


class TestTheRest:
    def test_details(self, manager: Browser, rita: User) -> None:
        manager.post(
            page_of(rita) + "details", {"first_name": "Rita", "email": "rita@hospital.example", "username": "x"}
        )
        rita.refresh_from_db()
        assert (rita.first_name, rita.email, rita.username) == ("Rita", "rita@hospital.example", "rita")
        response = manager.post(page_of(rita) + "details", {"first_name": "Anna", "email": "nowhere"})
        assert response.status_code == 400
        assert 'value="nowhere"' in text(response)

    def test_names_of_a_referring_physician(self, manager: Browser, rita: User) -> None:
        manager.post(page_of(rita) + "physician", {"names": "Reader^Rita\nReader^R"})
        assert set(rita.physician_names.values_list("name", flat=True)) == {"Reader^Rita", "Reader^R"}
        assert "Reader^Rita" in text(manager.get(page_of(rita)))

    def test_off_and_on(self, manager: Browser, rita: User, newest: Newest) -> None:
        window = Browser(HTTP_HOST="127.0.0.1")
        window.force_login(rita)
        assert manager.post(page_of(rita) + "off", {"reason": ""}).status_code == 400
        manager.post(page_of(rita) + "off", {"reason": "On leave"})
        assert (newest("user_changed").purpose, window.get("/api/whoami").status_code) == ("On leave", 401)
        manager.post(page_of(rita) + "on")
        assert User.objects.get(pk=rita.pk).is_active

    def test_whoever_leaves_takes_everything_along(self, manager: Browser, rita: User) -> None:
        window = Browser(HTTP_HOST="127.0.0.1")
        window.force_login(rita)
        link = ShareLink.objects.create(secret_digest="x", recipient="r", purpose="p", created_by=rita)
        response = manager.post(page_of(rita) + "leave", {"reason": "Retired"}, follow=True)
        assert "1 sessions" in text(response)
        link.refresh_from_db()
        rita.refresh_from_db()
        assert (rita.is_active, link.revoked_at is not None, rita.sessions.count()) == (False, True, 0)
