"""The queue's pages and resources: what a person sees, decides, and is kept from deciding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from archive.models import Study
from audit.models import AccessEvent
from tests.worklist.making import UID, A, B, image, send, work
from worklist.models import Order, Outcome, Reconciliation, RequestedProcedure, StudyOrderLink
from worklist.queue_view import case

pytestmark = pytest.mark.django_db
QUEUE = "/worklist/reconciliation/"
API = "/api/worklist/reconciliation"


@pytest.fixture
def unknown() -> Study:
    """A study of the patient of an order, which it doesn't name."""
    send()
    study = image(A, AccessionNumber="NONE", StudyDate="20250110", Modality="CT")
    work()
    return study


def state(study: Study) -> str:
    study.refresh_from_db()
    return case(study, Order.objects.all()).state


def decide(window: Browser, study: Study, decision: str, **given: Any) -> Any:
    form = {"decision": decision, "reason": "seen at the console", "state": state(study), "confirmed": "1", **given}
    return window.post(f"{QUEUE}{study.study_instance_uid}/decision", form)


def test_the_queue_and_one_of_it(tina: Browser, unknown: Study) -> None:
    text = tina.get(QUEUE).content.decode()
    assert "No order is known" in text
    assert f"{QUEUE}{unknown.study_instance_uid}/" in text
    assert unknown.study_instance_uid not in tina.get(f"{QUEUE}?outcome=CONFLICT").content.decode()
    text = tina.get(f"{QUEUE}{unknown.study_instance_uid}/").content.decode()
    assert "same modality on the same day" in text
    assert "same patient" in text
    assert "A100" in text
    event = AccessEvent.objects.filter(kind="search").latest("sequence")
    assert (event.study_uids, event.patient_ids) == ([unknown.study_instance_uid], ["123"])


def test_a_decision_is_confirmed_and_written_down(tina: Browser, unknown: Study) -> None:
    [procedure] = RequestedProcedure.objects.values_list("pk", flat=True)
    asked = decide(tina, unknown, "link", procedure=procedure, confirmed="")
    assert asked.status_code == 200
    assert "Yes, do it" in asked.content.decode()
    assert not StudyOrderLink.objects.exists()
    assert decide(tina, unknown, "link", procedure=procedure).status_code == 302
    link = StudyOrderLink.objects.get()
    assert (link.procedure_id, link.made_by) == (procedure, "tina")
    event = AccessEvent.objects.filter(kind="order_record").latest("sequence")
    assert event.principal_name == "tina"
    assert "seen at the console" in event.outcome_description
    assert "Nothing waits" in tina.get(QUEUE).content.decode()
    assert decide(tina, unknown, "unlink").status_code == 302
    assert not StudyOrderLink.objects.exists()
    assert decide(tina, unknown, "reopen").status_code == 302
    work()
    assert Reconciliation.objects.get(study=unknown).settled_by == ""


def test_what_has_changed_meanwhile_is_not_decided(tina: Browser, unknown: Study) -> None:
    seen = state(unknown)
    Reconciliation.objects.update(outcome=Outcome.AMBIGUOUS)
    answer = decide(tina, unknown, "unscheduled", state=seen)
    assert answer.status_code == 409
    assert "in the meantime" in answer.content.decode()
    assert Reconciliation.objects.get().settled_by == ""


def test_a_conflict_is_released_and_never_linked(tina: Browser) -> None:
    send()
    study = image(B, StudyInstanceUID=UID)
    work()
    text = tina.get(f"{QUEUE}{UID}/").content.decode()
    assert "Quarantined" in text
    assert "the order of another patient" in text
    [procedure] = RequestedProcedure.objects.values_list("pk", flat=True)
    assert decide(tina, study, "link", procedure=procedure).status_code == 409
    assert decide(tina, study, "accept").status_code == 409
    assert decide(tina, study, "release").status_code == 302
    study.refresh_from_db()
    assert not study.quarantined


def test_forms_that_are_not_right(tina: Browser, unknown: Study) -> None:
    for given in ({"reason": ""}, {"decision": "burn"}, {"state": "x"}, {"decision": "link"}, {"reason": "a\0"}):
        answer = decide(tina, unknown, **{"decision": "unscheduled", **given})
        assert answer.status_code == 400, given
    assert decide(tina, unknown, "link", procedure="0").status_code == 409
    for bad in ("1.2.3", "x", "%00"):
        assert tina.get(f"{QUEUE}{bad}/").status_code == 404, bad
    assert tina.get(f"{QUEUE}?outcome=x").status_code == 400


def test_another_order_is_looked_for(tina: Browser) -> None:
    send()
    study = image(A, AccessionNumber="NONE", StudyDate="19990101")
    work()
    address = f"{QUEUE}{study.study_instance_uid}/"
    assert "No order could be meant" in tina.get(address).content.decode()
    for sought in ("A100", "P1", "F1", "123"):
        assert "this one" in tina.post(address, {"sought": sought}).content.decode(), sought
    assert "No order could be meant" in tina.post(address, {"sought": "nothing\0"}).content.decode()


def test_no_more_queries_for_more_studies(tina: Browser) -> None:
    send()
    counts = []
    for _ in range(2):
        for _ in range(3):
            image(A, AccessionNumber="NONE")
        work()
        tina.get(QUEUE)
        with CaptureQueriesContext(connection) as queries:
            tina.get(QUEUE)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_the_resources(tina: Browser, unknown: Study) -> None:
    [row] = tina.get(API).json()
    assert (row["study"], row["outcome"]) == (unknown.study_instance_uid, "UNSCHEDULED")
    found = tina.get(f"{API}/{unknown.study_instance_uid}").json()
    assert found["proposals"][0]["reasons"] == ["same patient", "same modality on the same day"]
    assert found["decisions"] == ["link", "unscheduled"]
    wish = {"decision": "link", "reason": "seen", "state": found["state"], "procedures": row["candidates"]}
    address = f"{API}/{unknown.study_instance_uid}/decision"

    def post(given: dict[str, Any]) -> Any:
        return tina.post(address, given, content_type="application/json")

    assert post({**wish, "state": "0" * 32}).status_code == 409
    assert post({**wish, "procedures": []}).status_code == 400
    assert post({**wish, "procedures": [0]}).status_code == 409
    assert post({**wish, "reason": ""}).status_code == 400
    assert post(wish).json() == {"linked": row["candidates"]}
    assert post(wish).status_code == 409
    for bad in ("outcome=x", "limit=0", "offset=-1"):
        assert tina.get(f"{API}?{bad}").status_code == 400
    assert tina.get(f"{API}/1.2.3").status_code == 404


def test_who_may_not(as_role: Callable[..., Browser], unknown: Study) -> None:
    for role in ("administrator", "radiologist", "nurse", "auditor"):
        window = as_role(role)
        for address in ("/worklist/", QUEUE, f"{QUEUE}{unknown.study_instance_uid}/", API):
            assert window.get(address).status_code == 403, (role, address)
    assert 'href="/worklist/"' not in as_role("radiologist").get("/").content.decode()
    assert 'href="/worklist/"' in as_role("technologist").get("/").content.decode()
