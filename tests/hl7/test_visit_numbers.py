"""Numbers of visits and accounts in messages: whose they are, and how they change (PV1-19, PID-18, MRG-3)."""

from __future__ import annotations

import pytest

from hl7.interfaces import Peer
from hl7.models import Hl7Interface, Hl7Message
from hl7.receive import receive
from tests.hl7.messages import ORDER, REGISTER, adt, code, error, wire
from worklist.models import Order, Visit

pytestmark = pytest.mark.django_db
OTHER = "PID|1||777^^^HOSP&1.2.3.4&ISO^MR||ROE^RICHARD||19700101|M"
VISIT = "PV1|1|I|WARD^1^2^HOSP||||||||||||||||V1^^^HOSP"


@pytest.fixture(autouse=True)
def interface() -> Hl7Interface:
    return Hl7Interface.objects.create(name="any")


def sent(raw: bytes | str) -> bytes | None:
    return receive(wire(raw) if isinstance(raw, str) else raw, Peer("mllp", "127.0.0.1")).now


def test_a_visit_number_of_another_patient_is_refused() -> None:
    sent(REGISTER)
    assert error(sent(adt("A01", "x1", OTHER, VISIT))) == ("AR", "205", "PV1^1^19")
    assert Visit.objects.get().patient.patient_id == "123"


@pytest.mark.parametrize("number", ["{}^^^HOSP", "V1^^^{}"])
def test_what_no_index_holds_is_no_number(number: str) -> None:
    long = "".join(f"{each * 2654435761 % 2**32:08x}" for each in range(2_000))
    assert code(sent(adt("A01", "x1", OTHER, VISIT.replace("V1^^^HOSP", number.format(long))))) == "AA"
    assert not Visit.objects.exists()


def test_an_order_is_taken_all_the_same_without_the_visit() -> None:
    assert code(sent(adt("A01", "x1", OTHER, VISIT))) == "AA"
    assert code(sent(ORDER)) == "AA"
    assert Order.objects.get().visit is None
    kept = Hl7Message.objects.order_by("pk").last()
    assert kept is not None
    assert "visit not taken" in str(kept.effect)


@pytest.mark.parametrize("event", ["A06", "A36"])
def test_an_account_goes_on_under_another_number(event: str) -> None:
    pid = "PID|1||123^^^HOSP&1.2.3.4&ISO^MR||MÜLLER^JANE||19800101|F||||||||||{}^^^HOSP"
    sent(adt("A01", "x1", pid.format("ACC1")))
    merged = "124^^^HOSP&1.2.3.4&ISO^MR" if event == "A36" else ""
    assert code(sent(adt(event, "x2", pid.format("ACC2"), f"MRG|{merged}||ACC1^^^HOSP"))) == "AA"
    assert Visit.objects.get().number == "ACC2"
