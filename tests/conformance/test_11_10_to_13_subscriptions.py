"""PS3.18 11.10 to 11.13: who is told of workitems, and what. In depth: ``tests/live/test_event_channel.py``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from pydicom.uid import generate_uid

from tests.conformance.marks import clause
from tests.conformance.site import JSON, Site
from tests.conformance.trap_server import problem_of
from tests.live.event_channels import Subscriber, about
from tests.workitems.watchers import data_set

TITLE = "subscribers/CONFORMANCE"
GLOBAL, FILTERED = "1.2.840.10008.5.1.4.34.5", "1.2.840.10008.5.1.4.34.5.1"
STATE_REPORT = 1


def workitem(site: Site, **texts: str) -> str:
    uid = str(generate_uid())
    made = site.send(
        "POST", f"workitems?workitem={uid}", json=[data_set(**texts)], headers={"Content-Type": JSON, "Accept": JSON}
    )
    assert made.status_code == 201, made.text
    return uid


@pytest.fixture(autouse=True)
def _nobody_listens_afterwards(site: Site) -> Iterator[None]:
    """Other tests ask what happens where nobody does."""
    yield
    for title, worklist in product((TITLE, f"{TITLE}12", f"{TITLE}13"), (GLOBAL, FILTERED)):
        assert site.send("DELETE", f"workitems/{worklist}/{title}").status_code in (200, 404)


@clause("11.10")
def test_11_10_subscribe(site: Site) -> None:
    """11.10.3: 201, where the events come from, nothing else; 404 for what isn't there, 400 without a filter."""
    for resource, parameters in (
        (workitem(site), ""),
        (workitem(site), "?deletionlock=true"),
        (GLOBAL, ""),
        (FILTERED, "?filter=WorklistLabel=CONFORMANCE,00741200=HIGH&deletionlock=false"),
    ):
        answer = site.send("POST", f"workitems/{resource}/{TITLE}{parameters}")
        assert (answer.status_code, answer.content) == (201, b"")
        assert answer.headers["Content-Location"] == f"ws{site.root.removeprefix('http')}/{TITLE}"
    problem_of(site.send("POST", f"workitems/{generate_uid()}/{TITLE}"), 404)
    problem_of(site.send("POST", f"workitems/{FILTERED}/{TITLE}"), 400)


@clause("11.11")
def test_11_11_unsubscribe(site: Site) -> None:
    uid = workitem(site)
    title = f"{TITLE}11"
    assert site.send("POST", f"workitems/{uid}/{title}").status_code == 201
    assert site.send("DELETE", f"workitems/{uid}/{title}").status_code == 200
    problem_of(site.send("DELETE", f"workitems/{uid}/{title}"), 404)
    problem_of(site.send("DELETE", f"workitems/{GLOBAL}/{title}"), 404)


@clause("11.12")
def test_11_12_suspend_global_subscription(site: Site) -> None:
    title = f"{TITLE}12"
    for worklist, parameters in ((GLOBAL, ""), (FILTERED, "?filter=WorklistLabel=CONFORMANCE")):
        assert site.send("POST", f"workitems/{worklist}/{title}{parameters}").status_code == 201
        assert site.send("POST", f"workitems/{worklist}/{title}/suspend").status_code == 200
        problem_of(site.send("POST", f"workitems/{worklist}/{title}/suspend"), 404)
    problem_of(site.send("POST", f"workitems/{workitem(site)}/{title}/suspend"), 404)


@clause("11.13")
def test_11_13_events_of_what_matches(site: Site) -> None:
    """The affected workitem, the type of the event, and what PS3.4 table CC.2.4-1 has for it."""
    title = f"{TITLE}13"
    answer = site.send("POST", f"workitems/{FILTERED}/{title}?filter=WorklistLabel=ELEVEN")
    channel = Subscriber(answer.headers["Content-Location"], site.bearer)
    workitem(site)
    uid = workitem(site, WorklistLabel="ELEVEN")
    [event] = channel.events(1)
    assert about(event) == (uid, STATE_REPORT, "SCHEDULED")
    assert event["00404041"]["Value"] == ["READY"]
    channel.close()
