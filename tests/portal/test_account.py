"""One's own account: password, second factors, recovery codes, sessions; and being asked once more."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from access import throttle
from access.models import PersonSession, RecoveryCode, SecondFactor, User
from access.sessions_of import end_all, end_session, sessions
from audit.models import AccessEvent
from tests.access.second_steps import PASSWORD, Make, add_app, code_of, password_step, post

pytestmark = pytest.mark.django_db
NEW = "seven grey herons at noon"
MACHINE = {"Accept": "*/*"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
APP = "/account/second-factors/app"
CONFIRM = "/account/confirm"


@pytest.fixture
def rita(make_person: Make) -> User:
    person: User = make_person("radiologist", username="rita", password=PASSWORD)
    return person


@pytest.fixture
def home(browser: Browser, rita: User) -> Browser:
    """A browser in which Rita has just signed in."""
    assert password_step(browser).status_code == 302
    return browser


def elsewhere(name: str = "rita", **fields: Any) -> Browser:
    """Another browser in which somebody signs in."""
    browser = Browser(HTTP_HOST="127.0.0.1", **fields)
    assert password_step(browser, name).status_code == 302
    return browser


def who(browser: Browser) -> int:
    return int(browser.get("/api/whoami", headers=MACHINE).status_code)


def changes() -> list[str]:
    rows = AccessEvent.objects.filter(kind="user_changed").order_by("sequence")
    assert all(row.principal_name == "rita" and row.token_id for row in rows)
    return [row.outcome_description.split(": ", 1)[1] for row in rows]


def make_old(browser: Browser, seconds: float = 601) -> None:
    """As if the person had proved to be there some time ago."""
    session = browser.session
    session["proved_at"] -= seconds
    session.save()


def test_the_page(home: Browser, rita: User) -> None:
    add_app(rita)
    page = home.get("/account/").content.decode()
    for text in ("rita", "Radiologist", "Phone", "this one", "127.0.0.1", "Add an authenticator app"):
        assert text in page
    assert "<script" not in page
    assert "style=" not in page


def test_machines_have_none(make_client: Make, make_token: Make) -> None:
    header = {"Authorization": f"Bearer {make_token(make_client('administrator'))}", "Accept": "*/*"}
    for path in ("/account/", "/account/password", CONFIRM, APP, "/account/recovery-codes"):
        assert Browser(HTTP_HOST="127.0.0.1").get(path, headers=header).status_code == 403, path
    assert AccessEvent.objects.filter(kind="refused", rule="account").count() == 5


class TestPassword:
    PATH = "/account/password"

    def change(self, browser: Browser, current: str = PASSWORD, new: str = NEW, again: str | None = None) -> Any:
        return post(browser, self.PATH, current=current, new=new, again=new if again is None else again)

    def test_changed(self, home: Browser, rita: User) -> None:
        other = elsewhere()
        key = home.cookies[settings.SESSION_COOKIE_NAME].value
        assert self.change(home)["Location"] == "/account/"
        assert "1 other session ended" in home.get("/account/").content.decode()
        assert (who(home), who(other)) == (200, 401)
        assert home.cookies[settings.SESSION_COOKIE_NAME].value != key
        assert len(sessions(rita)) == 1
        assert password_step(other, password=PASSWORD).status_code == 401
        assert password_step(other, password=NEW).status_code == 302
        assert changes() == ["password changed"]
        assert NEW not in str(list(AccessEvent.objects.values()))

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"current": "wrong"}, "not your password"),
            ({"again": "something else entirely"}, "two ways"),
            ({"new": "fourteen chars"}, "at least 15"),
            ({"new": "1q2w3e4r5t6y7u8i9o"}, "too common"),
            ({"new": "passwordpassword"}, "repeats itself"),
            ({"new": "abcdefghijklmnopq"}, "row of letters"),
            ({"new": "zzzzzzzzzzzzzzzz"}, "repeats itself"),
            ({"new": "rita.of.the.radiology"}, "similar"),
            ({"new": ""}, "not your password"),
            ({"new": "x" * 1025}, "not your password"),
            ({"new": "seven grey \0 herons at noon"}, "not your password"),
        ],
    )
    def test_refused(self, home: Browser, rita: User, fields: dict[str, str], reason: str) -> None:
        User.objects.filter(pk=rita.pk).update(first_name="rita.of.the.radiology")
        answer = self.change(home, **fields)
        assert answer.status_code == 400
        assert reason in answer.content.decode()
        assert who(home) == 200
        assert not changes()
        rita.refresh_from_db()
        assert rita.check_password(PASSWORD)

    def test_guessing_ends(self, home: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(throttle, "PER_NAME", 3)
        assert [self.change(home, "wrong").status_code for _ in range(4)] == [400, 400, 400, 429]
        assert int(self.change(home)["Retry-After"]) > 0

    def test_guessing_is_on_the_trail(self, home: Browser, rita: User, monkeypatch: pytest.MonkeyPatch) -> None:
        self.change(home, current="wrong")
        monkeypatch.setattr(throttle, "PER_NAME", 1)
        assert self.change(home).status_code == 429
        failed = AccessEvent.objects.filter(kind="sign_in_failed").order_by("sequence")
        assert [(event.principal_name, event.rule) for event in failed] == [("rita", "password change")] * 2
        assert "wrong" not in failed[0].outcome_description.replace("wrong password", "")

    def test_without_a_password(self, browser: Browser, make_person: Make) -> None:
        browser.force_login(make_person("radiologist"))
        assert browser.get(self.PATH).status_code == 404
        assert self.PATH not in browser.get("/account/").content.decode()


class TestFactors:
    def test_added_with_codes_and_taken_away(self, home: Browser, rita: User) -> None:
        secret = home.get(APP).context["secret"].replace(" ", "")
        assert post(home, APP, code="nonsense", name="Phone").status_code == 400
        assert home.get(APP).context["secret"].replace(" ", "") == secret
        first = post(home, APP, code=code_of(secret), name="Phone")
        assert (first.status_code, len(first.context["codes"])) == (201, 10)
        second = home.get(APP).context["secret"].replace(" ", "")
        assert second != secret
        assert post(home, APP, code=code_of(second)).status_code == 302
        phone, other = SecondFactor.objects.order_by("created_at")
        assert (phone.name, other.name) == ("Phone", "Authenticator app")
        assert RecoveryCode.objects.count() == 10
        path = f"/account/second-factors/{phone.id}"
        assert post(home, path, do="rename", name="Old phone").status_code == 302
        assert "Old phone" in home.get("/account/").content.decode()
        assert post(home, path, do="rename", name="").status_code == 400
        assert post(home, path, do="rename", name="x" * 61).status_code == 400
        for factor, codes in ((phone, 10), (other, 0)):
            assert home.get(f"/account/second-factors/{factor.id}").status_code == 200
            assert post(home, f"/account/second-factors/{factor.id}", do="remove").status_code == 302
            assert RecoveryCode.objects.count() == codes
        assert changes() == [
            f"authenticator app {phone.id} added",
            "new recovery codes made",
            f"authenticator app {other.id} added",
            f"second factor {phone.id} renamed",
            f"authenticator app {phone.id} removed",
            f"authenticator app {other.id} removed",
        ]

    def test_of_somebody_else(self, home: Browser, make_person: Make) -> None:
        ann = make_person("auditor", username="ann")
        add_app(ann)
        path = f"/account/second-factors/{SecondFactor.objects.get().id}"
        assert home.get(path).status_code == 404
        for do in ("remove", "rename"):
            assert post(home, path, do=do, name="x").status_code == 404
        assert SecondFactor.objects.get().name == "Phone"

    def test_recovery_codes_go_with_a_factor(self, home: Browser, rita: User) -> None:
        assert home.get("/account/recovery-codes").status_code == 404
        add_app(rita)
        assert home.get("/account/recovery-codes").status_code == 200
        assert len(post(home, "/account/recovery-codes").context["codes"]) == 10
        assert post(home, "/account/recovery-codes").status_code == 201
        assert RecoveryCode.objects.count() == 10

    def test_ten_at_most(self, home: Browser, rita: User) -> None:
        for _ in range(10):
            add_app(rita)
        secret = home.get(APP).context["secret"].replace(" ", "")
        assert post(home, APP, code=code_of(secret)).status_code == 400
        assert SecondFactor.objects.count() == 10


class TestAskedAgain:
    """Ten minutes after a proof the password, or a second factor, is asked for again."""

    def test_led_there_and_back(self, home: Browser, rita: User) -> None:
        add_app(rita)
        factor = f"/account/second-factors/{SecondFactor.objects.get().id}"
        make_old(home)
        for path in (APP, factor, "/account/recovery-codes"):
            answer = home.get(path)
            assert answer["Location"] == f"{CONFIRM}?next={path.replace('/', '%2F')}", path
        assert post(home, factor, do="remove").status_code == 302
        assert SecondFactor.objects.exists()
        assert home.get(f"{CONFIRM}?next={APP}").context["next"] == APP
        wrong = post(home, CONFIRM, password="wrong", next=APP)
        assert wrong.status_code == 401
        assert home.get(APP).status_code == 302
        right = post(home, CONFIRM, password=PASSWORD, next=APP)
        assert (right.status_code, right["Location"]) == (302, APP)
        assert home.get(APP).status_code == 200
        row = AccessEvent.objects.get(kind="sign_in_failed")
        assert (row.rule, row.principal_name, row.outcome_description) == ("confirmation", "rita", "wrong password")

    def test_back_to_the_page_of_the_button(self, home: Browser) -> None:
        make_old(home)
        token = home.cookies[settings.CSRF_COOKIE_NAME].value
        for referer, back in (
            ("http://127.0.0.1/account/?a=b", "%2Faccount%2F%3Fa%3Db"),
            ("http://evil.example/account/", "%2F"),
            ("", "%2F"),
        ):
            answer = home.post(APP, {"csrfmiddlewaretoken": token}, headers={"Referer": referer})
            assert answer["Location"] == f"{CONFIRM}?next={back}"

    def test_a_program_is_told(self, home: Browser) -> None:
        make_old(home)
        answer = home.get(APP, headers=MACHINE)
        assert (answer.status_code, answer.json()["code"]) == (403, "confirmation-needed")

    def test_by_code(self, home: Browser, rita: User) -> None:
        secret = add_app(rita)
        make_old(home)
        code = code_of(secret)
        assert post(home, CONFIRM, code=code, next="/account/")["Location"] == "/account/"
        assert home.get(APP).status_code == 200
        assert post(home, CONFIRM, code=code).status_code == 401

    def test_without_a_password_the_provider_is_asked(self, browser: Browser, make_person: Make, settings: Any) -> None:
        """Who came in by single sign-on proves it there once more; a link would lead in a circle."""
        oidc = settings.PACS.oidc.model_copy(update={"issuer": "https://id.example.org", "client_id": "pacs"})
        settings.PACS = settings.PACS.model_copy(update={"oidc": oidc})
        browser.force_login(make_person("radiologist"))
        make_old(browser)
        page = browser.get(f"{CONFIRM}?next={APP}").content.decode()
        assert 'method="post" action="/accounts/sso/"' in page
        assert f'name="next" value="{APP}"' in page
        assert 'name="password"' not in page

    @pytest.mark.parametrize("wish", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", ""])
    def test_onward_stays_here(self, home: Browser, wish: str) -> None:
        assert post(home, CONFIRM, password=PASSWORD, next=wish)["Location"] == "/"

    def test_guessing_ends(self, home: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(throttle, "PER_NAME", 2)
        assert [post(home, CONFIRM, password="wrong").status_code for _ in range(3)] == [401, 401, 429]
        assert post(home, CONFIRM, password=PASSWORD).status_code == 429

    @pytest.mark.parametrize("fields", [{}, {"password": ""}, {"password": "\0"}, {"code": "\0"}, {"passkey": "["}])
    def test_what_proves_nothing(self, home: Browser, fields: dict[str, str]) -> None:
        make_old(home)
        assert post(home, CONFIRM, **fields).status_code == 401
        assert home.get(APP).status_code == 302


class TestSessions:
    def test_listed(self, home: Browser, rita: User, make_person: Make) -> None:
        make_person("auditor", username="ann", password=PASSWORD)
        elsewhere("ann")
        elsewhere(HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="192.0.2.7")
        first, second = sessions(rita)
        assert (first.source_ip, first.user_agent, first.proved_by) == ("192.0.2.7", FIREFOX, "password")
        assert second.source_ip == "127.0.0.1"
        assert abs((first.seen_at - first.started_at).total_seconds()) < 60
        signed_in = AccessEvent.objects.filter(kind="sign_in", principal_name="rita").values_list("token_id", flat=True)
        assert {first.token_id, second.token_id} == set(signed_in)
        page = home.get("/account/").content.decode()
        assert "Firefox on Linux" in page
        assert page.count("this one") == 1
        assert "ann" not in page.replace("Cannot", "").split("Where you are signed in")[1].split("</main>")[0]

    def test_one_is_ended(self, home: Browser, rita: User) -> None:
        other = elsewhere()
        here = home.get("/account/").context["sessions"]
        theirs = next(row["session"].id for row in here if not row["here"])
        assert post(home, f"/account/sessions/{theirs}/end").status_code == 302
        assert (who(home), who(other)) == (200, 401)
        assert changes() == [f"session {theirs} ended"]
        assert post(home, f"/account/sessions/{theirs}/end").status_code == 404

    def test_not_of_somebody_else(self, home: Browser, make_person: Make) -> None:
        ann = make_person("auditor", username="ann", password=PASSWORD)
        other = elsewhere("ann")
        assert post(home, f"/account/sessions/{sessions(ann)[0].id}/end").status_code == 404
        assert who(other) == 200

    def test_all_others(self, home: Browser, rita: User) -> None:
        others = [elsewhere() for _ in range(2)]
        assert post(home, "/account/sessions/end").status_code == 302
        assert [who(browser) for browser in (home, *others)] == [200, 401, 401]
        assert len(sessions(rita)) == 1

    def test_by_name(self, home: Browser, rita: User) -> None:
        """As administrators and a termination end them."""
        other = elsewhere()
        assert end_all(rita, except_key=home.session.session_key) == 1
        assert (who(home), who(other)) == (200, 401)
        assert end_session(sessions(rita)[0].id)
        assert who(home) == 401
        assert (end_all(rita), sessions(rita)) == (0, [])

    def test_sign_out_and_time_end_them(self, home: Browser, rita: User) -> None:
        post(home, "/accounts/logout/")
        assert sessions(rita) == []
        elsewhere()
        assert len(sessions(rita)) == 1
        Session.objects.update(expire_date=PersonSession.objects.get().started_at - timedelta(seconds=1))
        assert sessions(rita) == []
        Session.objects.filter().delete()
        assert not PersonSession.objects.exists()

    def test_keys_are_not_stored(self, home: Browser) -> None:
        key = home.cookies[settings.SESSION_COOKIE_NAME].value
        with connection.cursor() as cursor:
            cursor.execute("SELECT session_key FROM django_session")
            stored = [row[0] for row in cursor.fetchall()]
        assert len(stored) == 1
        assert key not in stored
        thief = Browser(HTTP_HOST="127.0.0.1")
        thief.cookies[settings.SESSION_COOKIE_NAME] = stored[0]
        assert who(thief) == 401

    def test_a_request_costs_no_more(self, home: Browser, rita: User) -> None:
        add_app(rita)
        who(home)
        with CaptureQueriesContext(connection) as queries:
            assert who(home) == 200
        tables = [query["sql"].split('FROM "')[1].split('"')[0] for query in queries]
        assert tables.count("django_session") == 1
        assert not {"access_personsession", "access_secondfactor", "access_recoverycode"} & set(tables)
