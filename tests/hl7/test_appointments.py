"""Appointments: SIU moves steps in time and place, and leaves their order open."""

from __future__ import annotations

import pytest

from hl7.interfaces import Peer
from hl7.models import Hl7Interface, Hl7Message
from hl7.receive import receive
from tests.hl7.messages import HEAD, ORDER, PID, code, error, wire
from worklist.models import Order, ScheduledProcedureStep, StateEvent

pytestmark = pytest.mark.django_db
SCH = "SCH|7401|F7|||||CT^CT HEAD|ROUTINE|30|min|^^30^20250112101500" + "|" * 15 + "P1^EPIC|F1^RIS"


@pytest.fixture(autouse=True)
def interface() -> Hl7Interface:
    return Hl7Interface.objects.create(name="any")


def booked(event: str, *segments: str, sch: str = SCH) -> bytes | None:
    text = "\n".join(
        (HEAD.format(app="SCH", type=f"SIU^{event}", control=f"{event}-{len(segments)}"), sch, PID, *segments)
    )
    return receive(wire(text), Peer("mllp", "127.0.0.1")).now


def steps() -> list[tuple[str, str, str, str]]:
    rows = ScheduledProcedureStep.objects.order_by("step_id")
    return [(row.start_date, row.start_time, row.location, row.status) for row in rows]


def effect() -> str:
    return Hl7Message.objects.order_by("-pk")[0].effect


def test_booked_moved_cancelled_and_missed() -> None:
    receive(wire(ORDER), Peer("mllp", "127.0.0.1"))
    assert code(booked("S12")) == "AA"
    assert [step[:2] for step in steps()] == 2 * [("20250112", "101500")]
    services = (
        "RGS|1",
        "AIS|1||NC^Non contrast|20250113080000",
        "AIL|1||CT1^ROOM7",
        "AIP|1||9^TECH^TOM",
        "AIS|2||CE^Contrast|20250113090000",
        "AIL|2||CT1^ROOM8",
    )
    assert code(booked("S13", *services)) == "AA"
    by_step = {row.step_id: row for row in ScheduledProcedureStep.objects.all()}
    assert (by_step["SPS1"].start_time, by_step["SPS1"].location) == ("080000", "ROOM7")
    assert by_step["SPS1"].performing_physician_name == "TECH^TOM"
    assert (by_step["SPS2"].start_time, by_step["SPS2"].location) == ("090000", "ROOM8")
    ScheduledProcedureStep.objects.filter(step_id="SPS1").update(status="ARRIVED")
    ScheduledProcedureStep.objects.filter(step_id="SPS2").update(status="STARTED")
    assert code(booked("S15")) == "AA"
    assert steps() == [("", "", "ROOM7", "SCHEDULED"), ("20250113", "090000", "ROOM8", "STARTED")]
    assert Order.objects.get().status == "SCHEDULED"
    assert code(booked("S12", "AIL|1|||||20250114")) == "AA"
    assert steps()[0][:2] == ("20250114", "")
    assert code(booked("S26")) == "AA"
    assert steps()[0][0] == ""
    told = StateEvent.objects.filter(machine="appointment").order_by("pk").values_list("after", flat=True)
    assert list(told) == ["BOOKED", "BOOKED", "BOOKED", "CANCELLED", "BOOKED", "NO_SHOW"]


def test_of_no_known_order_or_that_of_somebody_else() -> None:
    assert code(booked("S12", sch="SCH|7401|F7|||||CT")) == "AA"
    assert "no known order" in effect()
    receive(wire(ORDER.replace("123^^^HOSP", "77^^^HOSP")), Peer("mllp", "127.0.0.1"))
    before = steps()
    assert code(booked("S13", "AIS|1||NC|20250113080000")) == "AA"
    assert "no known order" in effect()
    assert steps() == before


def test_what_is_refused() -> None:
    assert error(booked("S12", "AIS|1||NC|2025x")) == ("AE", "102", "AIS^1^4")
    assert error(booked("S16")) == ("AR", "201", "MSH^1^9^1^2")
    assert error(booked("S14", sch="ZZZ|1")) == ("AE", "101", "SCH^1^1")
