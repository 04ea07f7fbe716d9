"""Share links as their holders meet them: one study opens, the rest does not exist, and the end is the next request."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from string import ascii_letters
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydicom.uid import EnhancedSRStorage, generate_uid

from access.link_door import COOKIE, FILES_COOKIE
from access.link_exchange import DOES_NOT_WORK
from access.links import MOST_WRONG_PINS, Made, Wish, make_link, revoke
from access.models import Grant, LinkToken, ShareLink, SignInAttempt, User
from access.rights import Right
from archive.models import Study
from audit.models import AccessEvent
from tests.dicomweb.conftest import BOUNDARY, Door, body_of, door_for, multipart_body, technologist
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.test_scope import paths_of

__all__ = ["door_for", "technologist"]
pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
Two = tuple[dict[str, str], dict[str, str]]
JSON = {"accept": "application/dicom+json"}
ORIGIN = {"origin": "http://testserver"}


@dataclass(frozen=True)
class Visitor:
    """A browser that opened a link."""

    http: HttpClient
    mount: str

    def get(self, path: str, **headers: str) -> Any:
        return self.http.get(f"{self.mount}/dicom-web/{path}", headers=headers)

    def search(self, path: str) -> list[Any]:
        response = self.get(path, **JSON)
        assert response.status_code == 200, response.content
        found: list[Any] = orjson.loads(response.content)
        return found

    def store(self, *objects: bytes) -> Any:
        return self.http.post(
            f"{self.mount}/dicom-web/studies",
            data=multipart_body(objects),
            content_type=f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
            headers=JSON | ORIGIN,
        )


@pytest.fixture
def two(technologist: Door) -> Two:
    """Paths into two stored studies of one patient."""

    def stored() -> dict[str, str]:
        ds = make_data_set()
        assert technologist.store([to_bytes(ds)]).status_code == 200
        return paths_of(str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID))

    return stored(), stored()


def study_at(paths: dict[str, str]) -> Study:
    return Study.objects.select_related("patient").get(study_instance_uid=uid_of(paths))


def uid_of(paths: dict[str, str]) -> str:
    return paths["study"].removeprefix("studies/")


def shared(study: Study, *rights: Right, by: User | None = None, **wish: Any) -> Made:
    given: dict[str, Any] = {"recipient": "Dr. R", "purpose": "Second opinion"}
    given |= {"until": timezone.now() + timedelta(days=1)} | wish
    return make_link(Wish(study=study, rights=rights, **given), by, None, None)


def secret_of(made: Made) -> str:
    return made.address.partition("#")[2]


def post(made: Made, pin: str = "", http: HttpClient | None = None) -> Any:
    return (http or HttpClient()).post("/s/open", {"secret": secret_of(made), "pin": pin})


def opened(made: Made, pin: str = "") -> Visitor:
    http = HttpClient()
    response = post(made, pin, http)
    assert response.status_code == 200, response.content
    return Visitor(http, f"/share/{made.link.external_id}")


def bearer(made: Made) -> dict[str, str]:
    response = HttpClient().post("/share/token", {"secret": secret_of(made)})
    assert response.status_code == 200, response.content
    return {"authorization": f"Bearer {response.json()['access_token']}"}


def refusals() -> list[str]:
    return list(AccessEvent.objects.filter(kind="refused").values_list("outcome_description", flat=True))


def test_a_link_opens_its_study_and_no_other(two: Two) -> None:
    granted, other = two
    visitor = opened(shared(study_at(granted)))
    for search in ("studies", "series", "instances", granted["study"] + "/series", granted["series"] + "/instances"):
        assert {found["0020000D"]["Value"][0] for found in visitor.search(search)} == {uid_of(granted)}, search
    assert visitor.search(f"studies?StudyInstanceUID={uid_of(other)}") == []
    absent = paths_of(generate_uid(), generate_uid(), generate_uid())
    for name, path in granted.items():
        assert visitor.get(path).status_code == 200, name
        hidden, missing = visitor.get(other[name]), visitor.get(absent[name])
        assert (hidden.status_code, missing.status_code, hidden.content) == (404, 404, missing.content), name


def test_addresses_in_answers_keep_the_prefix(two: Two) -> None:
    visitor = opened(shared(study_at(two[0])))
    root = f"http://testserver{visitor.mount}/dicom-web/"
    [study] = visitor.search("studies")
    assert study["00081190"]["Value"][0] == f"{root}{two[0]['study']}"
    metadata = visitor.get(two[0]["study metadata"], **JSON)
    assert metadata["Content-Location"] == f"{root}{two[0]['study metadata']}"
    uris = re.findall(rb'"BulkDataURI":"([^"]+)"', body_of(metadata))
    assert all(uri.startswith(root.encode()) for uri in uris)
    for response in (metadata, visitor.get("studies")):
        assert response["X-Robots-Tag"] == "noindex, nofollow"
    page_two = visitor.get("instances?limit=1", **JSON)
    assert "Link" not in page_two


def test_a_patients_link_opens_all_of_the_patient(two: Two) -> None:
    made = shared(study_at(two[0]), whole_patient=True)
    visitor = opened(made)
    assert len(visitor.search("studies")) == 2
    assert post(made).json()["viewer"] == f"{visitor.mount}/viewer/"


def test_the_secret_is_kept_nowhere(two: Two) -> None:
    made = shared(study_at(two[0]), pin=True)
    visitor = opened(made, made.pin)
    visitor.search("studies")
    token = visitor.http.cookies[COOKIE].value
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE t::text ~ %s', [f"{secret_of(made)}|{token}"])  # noqa: S608
            assert cursor.fetchone() == (0,), table
        cursor.execute("SELECT count(*) FROM access_sharelink t WHERE t::text ~ %s", [rf"\m{made.pin}\M"])
        assert cursor.fetchone() == (0,)
    assert len(secret_of(made)) * 6 >= 160


def test_the_cookie_is_for_the_links_addresses_alone(two: Two) -> None:
    made = shared(study_at(two[0]))
    response = post(made)
    paths = {name: morsel["path"] for name, morsel in response.cookies.items()}
    assert paths == {COOKIE: f"/share/{made.link.external_id}/", FILES_COOKIE: "/viewer/build/"}
    for morsel in response.cookies.values():
        assert (morsel["httponly"], morsel["samesite"]) == (True, "Strict")
        assert morsel["expires"]
    assert response["Cache-Control"] == "no-store"
    visitor = HttpClient()
    visitor.cookies[FILES_COOKIE] = response.cookies[FILES_COOKIE].value
    assert visitor.get("/viewer/build/none/none.js").status_code in (404, 503)
    for path in (
        "/",
        "/viewer/",
        "/viewer/app-config.js",
        "/dicom-web/studies",
        f"/share/{made.link.external_id}/viewer/",
    ):
        assert visitor.get(path).status_code in (302, 401), path
    revoke(made.link, None, None)
    assert visitor.get("/viewer/build/none/none.js").status_code == 401


@pytest.mark.parametrize("how", ["revoked", "ended", "maker off", "study gone"])
@pytest.mark.parametrize("by", ["cookie", "bearer"])
def test_the_end_counts_from_the_next_request(two: Two, make_person: Make, how: str, by: str) -> None:
    maker = make_person("radiologist")
    study = study_at(two[0])
    made = shared(study, by=maker)
    visitor = opened(made)
    headers = bearer(made) if by == "bearer" else {}

    def ask() -> Any:
        if by == "bearer":
            return HttpClient().get(f"/dicom-web/{two[0]['frames']}", headers=headers)
        return visitor.get(two[0]["frames"])

    assert ask().status_code == 200
    match how:
        case "revoked":
            revoke(made.link, None, None)
        case "ended":
            Grant.objects.filter(link=made.link).update(valid_until=timezone.now())
        case "maker off":
            User.objects.filter(pk=maker.pk).update(is_active=False)
        case _:
            Grant.objects.filter(link=made.link).delete()
    refused = ask()
    assert refused.status_code == 401
    assert refused["WWW-Authenticate"].startswith("Bearer")
    assert refusals() == ["the share link has ended"]
    event = AccessEvent.objects.get(kind="refused")
    assert (event.principal_kind, event.principal_id) == ("link", str(made.link.external_id))
    assert event.rule == f"link:{made.link.external_id}"
    assert event.study_uids == [uid_of(two[0])]
    again = post(made)
    assert (again.status_code, again.json()["detail"]) == (401, DOES_NOT_WORK)
    if by == "cookie":
        page = visitor.http.get(f"{visitor.mount}/viewer/", headers={"accept": "text/html"})
        assert (page.status_code, page["Location"]) == (302, "/s/")


def test_what_does_not_work_looks_the_same(make_study: Make) -> None:
    study = make_study()
    used = shared(study, most_uses=1)
    opened(used)
    revoked = shared(study)
    revoke(revoked.link, None, None)
    over = shared(study, until=timezone.now() - timedelta(seconds=1))
    pinned = shared(study, pin=True)
    wrong_pin = f"{(int(pinned.pin) + 1) % 1_000_000:06}"
    answers = {
        "used up": post(used),
        "revoked": post(revoked),
        "over": post(over),
        "wrong PIN": post(pinned, wrong_pin),
        "unknown": HttpClient().post("/s/open", {"secret": "x" * 43}),
        "nothing": HttpClient().post("/s/open", {}),
        "odd": HttpClient().post("/s/open", {"secret": "\0" + "é" * 500, "pin": "\0"}),
    }
    bodies = {response.content for response in answers.values()}
    assert {name: response.status_code for name, response in answers.items()} == dict.fromkeys(answers, 401)
    assert len(bodies) == 1
    assert not any(response.cookies.get(COOKIE) for response in answers.values())
    reasons = {text.removeprefix("share link refused: ") for text in refusals()}
    assert reasons == {"used up", "revoked", "ended", "wrong PIN", "unknown link"}


def test_a_pin_is_asked_for_and_guessing_is_slow_and_ends(make_study: Make) -> None:
    made = shared(make_study(), pin=True)
    asked = post(made)
    assert (asked.status_code, asked.json()["code"]) == (401, "pin-needed")
    assert ShareLink.objects.get().uses == 0
    assert not SignInAttempt.objects.exists()
    wrong = f"{(int(made.pin) + 1) % 1_000_000:06}"
    assert [post(made, wrong).status_code for _ in range(12)] == [401] * 10 + [429] * 2
    assert post(made, made.pin).status_code == 429
    SignInAttempt.objects.all().delete()
    opened(made, made.pin)
    assert ShareLink.objects.get().wrong_pins == 10
    ShareLink.objects.update(wrong_pins=MOST_WRONG_PINS)
    assert post(made, made.pin).status_code == 401
    assert refusals()[-1] == "share link refused: locked after too many wrong PINs"


def test_a_person_signed_in_counts_as_the_link_there(two: Two, make_person: Make) -> None:
    made = shared(study_at(two[0]))
    http = HttpClient()
    http.force_login(make_person("radiologist"))
    there = Visitor(http, f"/share/{made.link.external_id}")
    assert there.get("studies").status_code == 401
    post(made, http=http)
    assert len(there.search("studies")) == 1
    assert len(http.get("/dicom-web/studies", headers=JSON).json()) == 2


def test_the_token_of_one_link_is_none_of_another(two: Two) -> None:
    one, other = shared(study_at(two[0])), shared(study_at(two[1]))
    visitor = Visitor(opened(one).http, f"/share/{other.link.external_id}")
    assert visitor.get("studies").status_code == 401
    headers = bearer(one)
    assert HttpClient().get(f"{visitor.mount}/dicom-web/studies", headers=headers).status_code == 401
    assert HttpClient().get("/dicom-web/studies", headers=headers).status_code == 200


@pytest.mark.parametrize("by", ["cookie", "bearer"])
def test_links_open_nothing_but_studies_and_the_viewer(two: Two, by: str) -> None:
    made = shared(study_at(two[0]), *Right)
    visitor = opened(made)
    mount, headers = (visitor.mount, {}) if by == "cookie" else ("", bearer(made))
    http = visitor.http if by == "cookie" else HttpClient()
    for path in ("", "changefeed", "changefeed/latest", "extendedquerytags", "commitment-requests/1.2.3"):
        assert http.get(f"{mount}/dicom-web/{path}", headers=headers).status_code == 403, path
    assert set(refusals()) == {"not open to share links"}
    no_uid = "".join(Random(1).choices(ascii_letters, k=6_000))
    pages = (f"/sharing/{uid_of(two[0])}/", f"/sharing/{no_uid}/")
    for path in ("/", "/sharing/", *pages, "/api/whoami", "/api/schema", "/api/docs"):
        assert http.get(f"{mount}{path}", headers=headers).status_code in (401, 403, 404), path
        assert http.get(path, headers=headers).status_code in (401, 403), path
    deleted = http.delete(f"{mount}/dicom-web/{two[0]['study']}", headers=headers | ORIGIN)
    assert deleted.status_code == 403


def test_who_may_only_look_stores_nothing_and_takes_no_zip(two: Two) -> None:
    visitor = opened(shared(study_at(two[0])))
    sr = to_bytes(make_data_set(SOPClassUID=EnhancedSRStorage, StudyInstanceUID=uid_of(two[0]), Modality="SR"))
    assert visitor.store(sr).status_code == 403
    assert visitor.get(two[0]["study"], accept="application/zip").status_code == 403
    lender = opened(shared(study_at(two[0]), Right.DOWNLOAD))
    zipped = lender.get(two[0]["study"], accept="application/zip")
    assert (zipped.status_code, body_of(zipped)[:2]) == (200, b"PK")


def test_who_may_annotate_adds_reports_to_that_study_only(two: Two) -> None:
    visitor = opened(shared(study_at(two[0]), Right.ANNOTATE))

    def report(study: str) -> bytes:
        return to_bytes(make_data_set(SOPClassUID=EnhancedSRStorage, StudyInstanceUID=study, Modality="SR"))

    assert visitor.store(report(uid_of(two[0]))).status_code == 200
    for refused in (
        report(uid_of(two[1])),
        report(generate_uid()),
        to_bytes(make_data_set(StudyInstanceUID=uid_of(two[0]))),
    ):
        answer = visitor.store(refused)
        assert answer.status_code == 409
        assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0x0124]
    foreign = visitor.http.post(
        f"{visitor.mount}/dicom-web/studies",
        data=multipart_body([report(uid_of(two[0]))]),
        content_type=f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
        headers={"origin": "https://evil.example"},
    )
    assert foreign.status_code == 403


def test_everything_is_on_the_trail(two: Two, make_person: Make) -> None:
    maker = make_person("radiologist", username="rita")
    browser = HttpClient()
    browser.force_login(maker)
    form = {"recipient": "Dr. R, Anytown", "purpose": "Second opinion", "days": "3", "pin": "on"}
    page = browser.post(f"/sharing/{uid_of(two[0])}/", form)
    assert page.status_code == 201
    address, pin = re.findall(r'id="(?:link|pin)"[^>]* value="([^"]+)"', page.content.decode())
    link = ShareLink.objects.get()
    visitor = opened(Made(link, address, ""), pin)
    visitor.get(two[0]["frames"])
    visitor.search("studies")
    browser.post(f"/sharing/{link.external_id}/revoke")
    assert visitor.get(two[0]["frames"]).status_code == 401
    told = AccessEvent.objects.exclude(kind="store").order_by("sequence")
    rows = [(e.kind, e.principal_kind, e.principal_name, e.rule) for e in told]
    rule = f"link:{link.external_id}"
    assert rows == [
        ("share", "person", "rita", ""),
        ("share_used", "link", "Dr. R, Anytown", rule),
        ("retrieve", "link", "Dr. R, Anytown", rule),
        ("search", "link", "Dr. R, Anytown", rule),
        ("share_ended", "person", "rita", ""),
        ("refused", "link", "Dr. R, Anytown", rule),
    ]
    disclosed = told.get(kind="share_used")
    assert (disclosed.purpose, disclosed.study_uids, disclosed.patient_ids) == (
        "Second opinion",
        [uid_of(two[0])],
        ["P1"],
    )
    assert disclosed.token_id == told.get(kind="retrieve").token_id


def test_without_a_trail_no_link_opens(make_study: Make) -> None:
    made = shared(make_study())
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_accessevent ADD CONSTRAINT full_up CHECK (kind <> 'share_used') NOT VALID")
    try:
        assert HttpClient(raise_request_exception=False).post("/s/open", {"secret": secret_of(made)}).status_code == 503
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE audit_accessevent DROP CONSTRAINT full_up")
    assert ShareLink.objects.get().uses == 0
    assert not LinkToken.objects.exists()


def test_what_a_request_costs(make_study: Make) -> None:
    made = shared(make_study())
    headers = bearer(made)
    http = HttpClient()
    with CaptureQueriesContext(connection) as sent:
        http.get("/dicom-web/extendedquerytags/x", headers=headers)
    asked = [query["sql"] for query in sent.captured_queries if query["sql"].startswith("SELECT")]
    assert len([sql for sql in asked if "audit_record(" not in sql]) == 1


@pytest.fixture
def strict() -> HttpClient:
    return HttpClient(enforce_csrf_checks=True)


def test_a_foreign_page_opens_no_link(make_study: Make, strict: HttpClient) -> None:
    made = shared(make_study())
    form = {"secret": secret_of(made)}
    assert strict.post("/s/open", form, headers={"origin": "https://evil.example"}).status_code == 403
    page = strict.get("/s/")
    assert page["Referrer-Policy"] == "no-referrer"
    assert page["X-Robots-Tag"] == "noindex, nofollow"
    assert page["Cache-Control"] == "no-store"
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())
    assert token
    assert strict.post("/s/open", form | {"csrfmiddlewaretoken": token[1]}).status_code == 200
    assert strict.get(f"/s/open?secret={secret_of(made)}").status_code == 405
    assert HttpClient().get(f"/share/token?secret={secret_of(made)}").status_code == 405
    assert HttpClient().post(f"/share/token?secret={secret_of(made)}").status_code == 401


class TestPages:
    """Making, listing and ending links."""

    @pytest.fixture
    def rita(self, make_person: Make) -> HttpClient:
        http = HttpClient()
        http.force_login(make_person("radiologist", username="rita"))
        return http

    def test_the_list_offers_sharing_to_those_who_may(
        self, rita: HttpClient, make_person: Make, make_study: Make
    ) -> None:
        study = make_study()
        assert f"/sharing/{study.study_instance_uid}/" in rita.get("/").content.decode()
        other = HttpClient()
        other.force_login(make_person("technologist"))
        assert "/sharing/" not in other.get("/").content.decode()
        for path in ("/sharing/", f"/sharing/{study.study_instance_uid}/"):
            assert other.get(path).status_code == 403
        assert other.post(f"/sharing/{study.study_instance_uid}/", {"recipient": "x"}).status_code == 403
        assert not ShareLink.objects.exists()

    def test_a_patient_shares_what_is_theirs(self, make_person: Make, make_study: Make) -> None:
        mine, other = make_study(), make_study()
        patient = make_person("patient")
        Grant.objects.create(user=patient, study=mine)
        http = HttpClient()
        http.force_login(patient)
        assert http.get(f"/sharing/{mine.study_instance_uid}/").status_code == 200
        assert http.get(f"/sharing/{other.study_instance_uid}/").status_code == 404
        assert http.get("/sharing/1.2.3.9/").status_code == 404
        assert http.get("/").content.decode().count("/sharing/1") == 1

    @pytest.mark.parametrize(
        "wrong",
        [{"recipient": ""}, {"purpose": ""}, {"days": "0"}, {"days": "91"}, {"most_uses": "0"}, {"recipient": "\0"}],
    )
    def test_a_form_that_is_not_filled_in_makes_no_link(
        self, rita: HttpClient, make_study: Make, wrong: dict[str, str]
    ) -> None:
        study = make_study()
        form = {"recipient": "Dr. R", "purpose": "Teaching", "days": "3"} | wrong
        page = rita.post(f"/sharing/{study.study_instance_uid}/", form)
        assert page.status_code == 400
        assert 'role="alert"' in page.content.decode()
        assert not ShareLink.objects.exists()

    def test_links_are_seen_and_ended_by_who_made_them_or_manages(
        self, rita: HttpClient, make_person: Make, make_study: Make
    ) -> None:
        study = make_study(name="DOE^JANE")
        made = shared(study, by=User.objects.get(username="rita"), most_uses=5)
        assert "Dr. R" in rita.get("/sharing/").content.decode()
        other, manager = HttpClient(), HttpClient()
        other.force_login(make_person("radiologist"))
        manager.force_login(make_person("administrator"))
        assert "Dr. R" not in other.get("/sharing/").content.decode()
        assert other.post(f"/sharing/{made.link.external_id}/revoke").status_code == 404
        assert "by rita" in manager.get("/sharing/").content.decode()
        assert manager.post(f"/sharing/{made.link.external_id}/revoke").status_code == 302
        page = rita.get("/sharing/").content.decode()
        assert "revoked" in page
        assert "/revoke" not in page

    @pytest.mark.parametrize(
        ("change", "said"),
        [({}, "open"), ({"uses": 3, "most_uses": 3}, "used up"), ({"wrong_pins": 20}, "locked")],
    )
    def test_the_state_is_said(self, rita: HttpClient, make_study: Make, change: dict[str, int], said: str) -> None:
        made = shared(make_study(), by=User.objects.get(username="rita"))
        ShareLink.objects.filter(pk=made.link.pk).update(**change)
        assert f'<td class="state">{said}</td>' in rita.get("/sharing/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_many_at_once_get_no_more_uses_than_there_are(make_study: Make) -> None:
    made = shared(make_study(), most_uses=3)

    def knock(_: int) -> int:
        try:
            return int(post(made).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(knock, range(8)))
    assert sorted(statuses) == [200] * 3 + [401] * 5
    assert ShareLink.objects.get().uses == 3
    assert LinkToken.objects.count() == 3
