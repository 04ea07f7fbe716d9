"""The pages of interfaces and messages, and the same for programs: what they show, to whom, and what they leave."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.marking import restrict
from access.models import CustomRole, Grant, User
from access.restriction_models import Mark
from access.restrictions import marks
from archive.models import Patient, Study
from audit.models import AccessEvent
from hl7.feeds import feeds
from hl7.interfaces import Peer
from hl7.models import Hl7Interface, Hl7Message
from hl7.receive import receive
from hl7.shown_message import MOST_PARTS, lines_of, segments_of
from tests.access.conftest import MakePerson, make_client, make_person, make_token
from tests.hl7.messages import ORDER, PID, REGISTER, adt, wire
from worklist.models import Order

__all__ = ["make_client", "make_person", "make_token"]
pytestmark = pytest.mark.django_db
PEER = Peer("mllp", "127.0.0.1")
NOT_TOLD = ORDER.replace("|SC\n", "|Ordered\n").replace("|O1|", "|O9|")


@pytest.fixture
def mara(make_person: MakePerson) -> Browser:
    """An administrator, who has the right to interfaces."""
    window = Browser(HTTP_ACCEPT="text/html,*/*;q=0.8", HTTP_HOST="127.0.0.1")
    window.force_login(make_person("administrator", username="mara"))
    return window


@pytest.fixture
def came() -> dict[str, int]:
    """A patient, an order, a parked order, and the messages' numbers by control ID."""
    Hl7Interface.objects.create(name="ris")
    for raw in (wire(REGISTER), wire(ORDER), wire(NOT_TOLD)):
        receive(raw, PEER)
    return dict(Hl7Message.objects.values_list("control_id", "pk"))


def test_how_feeds_run(mara: Browser, came: dict[str, int]) -> None:
    Hl7Interface.objects.create(name="quiet", sending_application="NOBODY")
    [ris, *_] = sorted(feeds(timezone.now()), key=lambda feed: feed.interface is None or feed.interface.name != "ris")
    assert {each.ack: (each.today, each.hour) for each in ris.counts} == {"AA": (2, 2), "AE": (1, 1)}
    assert (ris.last, ris.waiting, ris.silent, ris.usual) == (came["O9"], 1, False, None)
    text = mara.get("/interfaces/").content.decode()
    assert 'http-equiv="refresh" content="30;url=?left=19"' in text
    assert "AE 1" in text
    assert "never" in text
    assert "refresh" not in mara.get("/interfaces/?left=0").content.decode()
    assert mara.get("/interfaces/?left=x").status_code == 200


def test_a_feed_that_fell_silent(came: dict[str, int]) -> None:
    now = timezone.now()
    Hl7Interface.objects.update(created_at=now - timedelta(days=2))
    last = Hl7Message.objects.all()
    for back, number in zip((20, 24, 24), last.values_list("pk", flat=True), strict=True):
        Hl7Message.objects.filter(pk=number).update(received_at=now - timedelta(hours=back, minutes=5))
    # One an hour and a day is usual, and three hours and more passed.
    [feed] = feeds(now)
    assert (feed.usual, feed.silent) == (1.0, True)


def test_messages_by_what_is_asked(mara: Browser, came: dict[str, int]) -> None:
    def shown(**asked: str) -> set[str]:
        answer = mara.post("/interfaces/messages/", asked, follow=True)
        assert answer.status_code == 200
        assert "123" not in answer.request["QUERY_STRING"]
        text = answer.content.decode()
        return {control for control, pk in came.items() if f"/interfaces/messages/{pk}/" in text}

    assert shown() == {"A1", "O1", "O9"}
    assert shown(control_id="O1") == {"O1"}
    assert shown(type="adt") == {"A1"}
    assert shown(type="OMI^O23", ack="AE") == {"O9"}
    assert shown(interface="ris", state="applied") == {"A1", "O1"}
    # What was not applied is found by what stands in it.
    assert shown(patient="123") == {"A1", "O1", "O9"}
    assert shown(patient="999") == {"A1", "O1"}
    assert shown(order="A100") == {"O1", "O9"}
    assert shown(order="nothing") == set()
    assert shown(since="2000-01-01T00:00", until="2000-01-02") == set()
    event = AccessEvent.objects.filter(query__contains="patient=999").latest("sequence")
    assert event.patient_ids == ["999"]
    for bad in ("state=x", "condition=1", "type=!", "interface=%00"):
        assert mara.get(f"/interfaces/messages/?{bad}").status_code == 400, bad
    assert mara.get("/interfaces/messages/?before=x").status_code == 200


def test_one_message_is_shown_and_that_is_written_down(mara: Browser, came: dict[str, int]) -> None:
    text = mara.get(f"/interfaces/messages/{came['O1']}/").content.decode()
    for part in ("Accession identifier", "Patient identifier list", "Assigning authority", "order created: SCHEDULED"):
        assert part in text
    assert "MSA|AA|O1" in text
    assert "PID-3.4.2" in text
    assert "ORC-2.1" in text
    event = AccessEvent.objects.filter(kind="search").latest("sequence")
    assert (event.query, event.patient_ids) == (f"hl7 message {came['O1']}", ["123"])
    assert event.path == "/interfaces/messages/<int:message>/"
    assert mara.get("/interfaces/messages/0/").status_code == 404
    assert mara.get(f"/interfaces/messages/{10**30}/").status_code == 404


def test_hostile_bytes_are_text(mara: Browser) -> None:
    Hl7Interface.objects.create(name="any")
    receive(adt("A04", "X1", PID.replace("JANE", "<script>alert(1)</script>\x1c\x00")), PEER)
    receive(adt("A04", "X2", "PID|1||5^^^HOSP||" + "\xff" * 9_000).replace(b"UNICODE UTF-8", b"NO SUCH SET"), PEER)
    receive(b"MSH|^~\\&|A|B", PEER)
    for message in Hl7Message.objects.all():
        text = mara.get(f"/interfaces/messages/{message.pk}/").content.decode()
        assert "<script>" not in text
        assert "As it came" in text
    first = Hl7Message.objects.get(control_id="X1")
    assert any("␜␀" in line for line in lines_of(bytes(first.raw)).lines)
    assert len(lines_of(bytes(Hl7Message.objects.get(control_id="X2").raw)).lines[1]) < 2_100
    assert lines_of(b"\xff\xfe").lines == ("ÿþ",)
    assert segments_of(Hl7Message(raw=b"nothing at all")) == ()


def test_of_somebody_whose_record_is_closed_nothing_is_shown(mara: Browser, came: dict[str, int]) -> None:
    restrict(Patient.objects.get(patient_id="123"), Mark.VIP, "a well-known person")
    marks.forget()
    for number in came.values():
        answer = mara.get(f"/interfaces/messages/{number}/")
        assert answer.status_code == 403
        assert "JANE" not in answer.content.decode()
        assert mara.get(f"/api/hl7/messages/{number}").status_code == 403
    assert AccessEvent.objects.filter(kind="refused").latest("sequence").patient_ids == ["123"]
    answer = mara.post("/interfaces/parked/act", {"action": "try", "message": came["O9"]})
    assert "closed to you" in answer.content.decode()
    marks.forget()


@pytest.mark.parametrize(
    "broken",
    [
        adt("A04", "X1", PID, "NTE|1||a line that breaks\nin the middle"),
        adt("A04", "X1", PID).replace(b"UNICODE UTF-8", b"NO SUCH SET"),
        adt("A04", "X1", PID.replace("123^^^HOSP", "~".join(["123^^^HOSP", *["7^^^HOSP"] * 6_000]))),
        adt("A04", "X1", PID.replace("123^^^HOSP", "\\XFF\\\0^^^HOSP~123^^^HOSP")),
    ],
    ids=("a line that is no segment", "no character set", "too many identifiers", "an identifier that can't be read"),
)
def test_what_nobody_can_read_is_closed_as_well(mara: Browser, came: dict[str, int], broken: bytes) -> None:
    receive(broken, PEER)
    number = Hl7Message.objects.get(control_id="X1", state__in=("parked", "refused")).pk
    assert mara.get(f"/interfaces/messages/{number}/").status_code == 200
    restrict(Patient.objects.get(patient_id="123"), Mark.VIP, "a well-known person")
    marks.forget()
    assert mara.get(f"/interfaces/messages/{number}/").status_code == 403
    assert mara.get(f"/api/hl7/messages/{number}").status_code == 403
    answer = mara.post("/interfaces/parked/act", {"action": "try", "message": number})
    assert "closed to you" in answer.content.decode()
    marks.forget()


def test_a_search_does_not_tell_of_somebody_who_is_closed(mara: Browser, came: dict[str, int]) -> None:
    def found(**asked: str) -> set[str]:
        answer = mara.post("/api/hl7/messages/search", asked, content_type="application/json")
        rows = mara.post("/interfaces/messages/", asked, follow=True).context["rows"]
        told = {each["control_id"] for each in answer.json()["messages"]}
        assert told == {each.control_id for each in rows}
        return told

    # O9 waits: only its bytes say whose it is.
    assert found(patient="123") == {"A1", "O1", "O9"}
    assert found(order="A100") == {"O1", "O9"}
    restrict(Patient.objects.get(patient_id="123"), Mark.VIP, "a well-known person")
    marks.forget()
    assert found(patient="123") == found(order="A100") == found(patient="NE^Q^^D") == set()
    # A list of all says nothing of anybody.
    assert found() == {"A1", "O1", "O9"}
    marks.forget()


def test_what_fails_by_our_fault_fails_alone(
    mara: Browser, came: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError(PID)

    monkeypatch.setattr("hl7.replay.apply", broken)
    for what in ("try", "replay"):
        answer = mara.post("/interfaces/parked/act", {"action": what, "message": came["O9"]})
        assert (answer.status_code, "207" in answer.content.decode()) == (200, True)
    answer = mara.post(f"/api/hl7/messages/{came['O9']}/replay", {}, content_type="application/json")
    assert (answer.status_code, "JANE" in answer.content.decode()) == (409, False)
    assert Hl7Message.objects.get(pk=came["O9"]).state == "parked"


def test_what_a_session_forgot_is_not_done_to_all(mara: Browser, came: dict[str, int]) -> None:
    answer = mara.post("/interfaces/messages/", {"type": "ADT", "patient": "nobody"})
    [_, query] = answer["Location"].split("?")
    mara.post(f"/interfaces/parked/act?{query}", {"action": "discard", "every": "1", "reason": "a test"})
    assert Hl7Message.objects.get(pk=came["O9"]).state == "parked"


def test_of_a_field_of_many_parts_some_are_shown(mara: Browser, came: dict[str, int]) -> None:
    receive(adt("A04", "X1", PID, "ZZZ|" + "^".join("a" * 50_000)), PEER)
    found = Hl7Message.objects.get(control_id="X1")
    [field] = next(each for each in segments_of(found) if each.name == "ZZZ").fields
    assert len(field.parts) == MOST_PARTS


def test_messages_of_somebody_with_one_closed_study(mara: Browser, came: dict[str, int]) -> None:
    """What is about a patient may be about that study."""
    patient = Patient.objects.get(patient_id="123")
    study = Study.objects.create(study_instance_uid="1.2.3", patient=patient)
    restrict(study, Mark.RESTRICTED, "an examination of its own")
    marks.forget()
    assert mara.get(f"/interfaces/messages/{came['O1']}/").status_code == 403
    Grant.objects.create(study=study, user=User.objects.get(username="mara"))
    assert mara.get(f"/interfaces/messages/{came['O1']}/").status_code == 200
    marks.forget()


def test_a_trial_shows_what_would_change_and_a_replay_does_it(mara: Browser, came: dict[str, int]) -> None:
    page = mara.get("/interfaces/parked/").content.decode()
    assert "103" in page
    refused = mara.post("/interfaces/parked/act", {"action": "try", "message": came["O9"]}).content.decode()
    assert "Not possible: 103" in refused
    Order.objects.all().delete()
    Hl7Interface.objects.update(profile={"control_map": {"NW_Ordered": "NW_SC"}})
    tried = mara.post("/interfaces/parked/act?interface=ris", {"action": "try", "every": "1"}).content.decode()
    assert "order created: SCHEDULED" in tried
    assert "order: accession number" in tried
    assert "<ins>A100</ins>" in tried
    assert not Order.objects.exists()
    assert mara.post("/interfaces/parked/act", {"action": "replay", "message": came["O9"]}).status_code == 302
    assert Order.objects.get().accession_number == "A100"
    event = AccessEvent.objects.filter(kind="order_record", principal_name="mara").latest("sequence")
    assert event.query == f"hl7 replay {came['O9']}"
    again = mara.post("/interfaces/parked/act", {"action": "replay", "message": came["O9"]}).content.decode()
    assert "somebody was faster" in again
    assert "Nothing waits" in mara.get("/interfaces/parked/").content.decode()


def test_discarding_needs_a_reason_and_deletes_nothing(mara: Browser, came: dict[str, int]) -> None:
    answer = mara.post("/interfaces/parked/act", {"action": "discard", "message": came["O9"]})
    assert answer.status_code == 400
    assert "Say why" in answer.content.decode()
    for bad in ({"action": "burn", "message": came["O9"]}, {"action": "try"}, {"action": "try", "message": "x"}):
        assert mara.post("/interfaces/parked/act", bad).status_code == 400
    given = {"action": "discard", "message": came["O9"], "reason": "a test of the vendor"}
    assert mara.post("/interfaces/parked/act", given).status_code == 302
    kept = Hl7Message.objects.get(pk=came["O9"])
    assert (kept.state, kept.effect) == ("dismissed", "discarded: a test of the vendor")


def test_no_more_queries_for_more_messages(mara: Browser, came: dict[str, int]) -> None:
    addresses = ("/interfaces/", "/interfaces/messages/", "/interfaces/parked/", "/api/hl7/messages")
    counts: list[list[int]] = []
    for turn in range(2):
        counts.append([])
        for address in addresses:
            mara.get(address)
            with CaptureQueriesContext(connection) as queries:
                mara.get(address)
            counts[-1].append(len(queries))
        for number in range(4):
            Hl7Interface.objects.create(name=f"other {turn} {number}", sending_application=f"X{turn}{number}")
            receive(wire(NOT_TOLD.replace("|O9|", f"|Q{turn}{number}|")), PEER)
    assert counts[0] == counts[1]


def test_the_resources(mara: Browser, came: dict[str, int]) -> None:
    def post(address: str, given: dict[str, Any]) -> Any:
        return mara.post(address, given, content_type="application/json")

    assert mara.get("/api/hl7/interfaces").json()[0]["today"] == {"AA": 2, "AE": 1}
    page = mara.get("/api/hl7/messages?limit=2").json()
    assert ([each["control_id"] for each in page["messages"]], page["next"]) == (["O9", "O1"], came["O1"])
    assert [each["id"] for each in mara.get(f"/api/hl7/messages?before={page['next']}").json()["messages"]] == [
        came["A1"]
    ]
    assert len(post("/api/hl7/messages/search", {"patient": "999"}).json()["messages"]) == 2
    assert "raw" not in page["messages"][0]
    one = mara.get(f"/api/hl7/messages/{came['O9']}").json()
    assert (one["state"], one["ack"], one["condition"]) == ("parked", "AE", 103)
    replay = f"/api/hl7/messages/{came['O9']}/replay"
    assert post(replay, {"dry_run": True}).status_code == 409
    Hl7Interface.objects.update(profile={"control_map": {"NW_Ordered": "NW_SC"}})
    tried = post(replay, {"dry_run": True}).json()
    assert tried["dry_run"]
    assert tried["effect"]
    [several] = post("/api/hl7/replays", {"dry_run": True, "interface": "ris"}).json()
    assert (several["id"], several["refused"], several["effect"]) == (came["O9"], "", tried["effect"])
    assert post("/api/hl7/replays", {"messages": [came["O1"]]}).json()[0]["refused"]
    assert Hl7Message.objects.get(pk=came["O9"]).state == "parked"
    assert post(replay, {}).status_code == 200
    assert post("/api/hl7/replays", {}).json() == []
    assert post("/api/hl7/replays", {"type": "!"}).status_code == 400
    assert post(replay, {}).status_code == 409
    assert post(f"/api/hl7/messages/{came['O9']}/dismissal", {"reason": "x"}).status_code == 409
    assert post(f"/api/hl7/messages/{came['O9']}/dismissal", {}).status_code == 400
    for bad in ("state=x", "limit=0", "before=-1", "since=never", "interface=%00"):
        assert mara.get(f"/api/hl7/messages?{bad}").status_code == 400, bad
    assert mara.get(f"/api/hl7/messages/{10**30}").status_code == 404


def test_who_may_not(make_person: MakePerson, came: dict[str, int]) -> None:
    addresses = ("/interfaces/", "/interfaces/messages/", f"/interfaces/messages/{came['O1']}/", "/interfaces/parked/")
    for role in ("technologist", "radiologist", "auditor"):
        window = Browser(HTTP_ACCEPT="text/html,*/*;q=0.8", HTTP_HOST="127.0.0.1")
        window.force_login(make_person(role, username=role))
        for address in (*addresses, "/api/hl7/interfaces", "/api/hl7/messages"):
            assert window.get(address).status_code == 403, (role, address)
    CustomRole.objects.create(name="engine", title="Interface engineer", rights={"interfaces": "ALL"})
    window.force_login(make_person("engine", username="ed"))
    text = window.get("/interfaces/").content.decode()
    assert 'href="/interfaces/"' in text
    assert 'href="/administration/"' not in text
