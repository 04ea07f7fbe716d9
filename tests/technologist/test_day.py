"""The worklist of a day: what is on it, in which order, for whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from access.models import User, UserRole
from archive.models import Study
from audit.models import AccessEvent
from tests.worklist.making import HEAD, UID, A, B, image, send, work
from worklist.day import Wanted, choices, day
from worklist.models import Order, ScheduledProcedureStep
from worklist.order_messages import EntityIdentifier, OrderFacts, ProcedureFacts, StepFacts

pytestmark = pytest.mark.django_db
DAY = date(2025, 1, 10)
ADDRESS = "/worklist/?day=2025-01-10"


def routine(number: int, **values: str) -> OrderFacts:
    """An order of one step at eight o'clock."""
    step = StepFacts("SPS", "MR", ("MR01",), "Magnet", "ROOM2", "20250110", "080000", values.get("what", "Knee"))
    return replace(
        HEAD,
        placer=EntityIdentifier(f"P{number}", "EPIC"),
        filler=EntityIdentifier(f"F{number}", "RIS"),
        accession=EntityIdentifier(f"A{number}", "RIS"),
        priority="ROUTINE",
        procedures=(ProcedureFacts("RP1", f"1.2.840.99.{number}", None, values.get("what", "MR KNEE"), (step,)),),
    )


def test_urgent_ones_first_then_by_time_with_their_images() -> None:
    send()
    send(routine(7), patient=B)
    image(A, StudyInstanceUID=UID)
    work()
    found = day(Wanted(day=DAY), Order.objects.all(), Study.objects.all(), limit=10)
    assert [(each.step.step_id, each.urgent, len(each.images)) for each in found.steps] == [
        ("SPS1", True, 1),
        ("SPS2", True, 1),
        ("SPS", False, 0),
    ]
    assert found.steps[0].notes[0] == ("Reason", "trauma")
    offered = choices(DAY, Order.objects.all())
    assert (offered.modalities, offered.rooms) == (("CT", "MR"), ("CTROOM", "ROOM2"))
    assert {"CT01", "MR01"} <= set(offered.stations)
    for asked, expected in (
        ({"modality": "MR"}, ["SPS"]),
        ({"station": "CT01"}, ["SPS1", "SPS2"]),
        ({"room": "nowhere"}, []),
        ({"show": "done"}, []),
    ):
        wanted = Wanted(day=DAY, **asked)
        steps = day(wanted, Order.objects.all(), Study.objects.none(), limit=10).steps
        assert [each.step.step_id for each in steps] == expected
        assert not any(each.images for each in steps)


def test_no_more_queries_for_more_steps() -> None:
    send(routine(1))
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            day(Wanted(day=DAY), Order.objects.all(), Study.objects.all(), limit=50)
        counts.append(len(queries))
        for number in range(2, 8):
            send(routine(number), patient=B)
    assert counts == [3, 3]


def test_the_page(tina: Browser) -> None:
    send()
    image(A, StudyInstanceUID=UID)
    work()
    text = tina.get(ADDRESS).content.decode()
    assert text.index("MÜLLER, JANE") < text.index("1 image")
    assert "STAT" in text
    assert f'href="/studies/{UID}/"' in text
    event = AccessEvent.objects.filter(kind="search").latest("sequence")
    assert (event.query, event.patient_ids, event.study_uids) == ("worklist of 2025-01-10", ["123"], [UID])
    assert "Nothing of this day matches" in tina.get(f"{ADDRESS}&modality=US").content.decode()
    assert "Nothing is to be done" in tina.get("/worklist/?day=1999-01-01").content.decode()
    assert tina.get("/worklist/").status_code == 200
    assert tina.get("/worklist/?day=9999-12-31").status_code == 200
    assert tina.get("/worklist/?day=0001-01-01").status_code == 200
    for bad in ("day=yesterday", "show=x", "page=0", "modality=%00"):
        assert tina.get(f"/worklist/?{bad}").status_code == 400, bad


def test_who_is_limited_sees_the_orders_within(as_role: Callable[..., Browser]) -> None:
    send()
    limited = as_role("technologist", username="lea")
    UserRole.objects.filter(user=User.objects.get(username="lea")).update(limit_kind="issuer", limit_values=["OTHER"])
    assert "MÜLLER" not in limited.get(ADDRESS).content.decode()
    UserRole.objects.filter(user=User.objects.get(username="lea")).update(limit_values=["HOSP"])
    assert "MÜLLER" in limited.get(ADDRESS).content.decode()


def test_what_ended_is_shown_to_who_asks(tina: Browser) -> None:
    send()
    ScheduledProcedureStep.objects.update(status="COMPLETED")
    assert "MÜLLER" not in tina.get(ADDRESS).content.decode()
    assert "MÜLLER" in tina.get(f"{ADDRESS}&show=done").content.decode()
    assert "MÜLLER" in tina.get(f"{ADDRESS}&show=all").content.decode()
