"""Parked messages: applied once what stood in the way is mended, or dismissed."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from archive.models import Patient
from audit.models import AccessEvent
from hl7.errors import Refused
from hl7.interfaces import Peer
from hl7.models import Hl7Interface, Hl7Message
from hl7.receive import receive
from hl7.replay import NotReplayable, dismiss, replay, waiting
from tests.hl7.messages import ORDER, code, wire
from worklist.models import Order

pytestmark = pytest.mark.django_db


@pytest.fixture
def parked() -> int:
    """An order of a partner whose word for NW nobody has been told."""
    Hl7Interface.objects.create(name="any")
    assert code(receive(wire(ORDER.replace("|SC\n", "|Ordered\n")), Peer("mllp", "127.0.0.1")).now) == "AE"
    return Hl7Message.objects.get(state="parked").pk


def test_replay(parked: int) -> None:
    with pytest.raises(Refused):
        replay(parked, "tina")
    assert [each.pk for each in waiting()] == [parked]
    Hl7Interface.objects.update(profile={"control_map": {"NW_Ordered": "NW_SC"}})
    told = replay(parked, "tina", dry_run=True)
    assert told.words == ("patient created", "visit: update", "order created: SCHEDULED")
    assert (Order.objects.count(), Patient.objects.count(), waiting().count()) == (0, 0, 1)
    assert replay(parked, "tina").words == told.words
    kept = Hl7Message.objects.get(pk=parked)
    assert (kept.state, kept.order, kept.condition) == ("replayed", Order.objects.get().pk, 103)
    event = AccessEvent.objects.filter(kind="order_record").latest("sequence")
    assert (event.purpose, event.auth_method) == ("by tina", "replay")
    with pytest.raises(NotReplayable):
        replay(parked, "tina")


def test_dismiss(parked: int) -> None:
    dismiss(parked, "tina")
    assert waiting().count() == 0
    with pytest.raises(NotReplayable):
        dismiss(parked, "tina")


def test_commands(parked: int, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("hl7_parked")
    assert "103 ORC^1^" in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("hl7_parked", replay=[parked])
    call_command("hl7_interface", "any", set=['control_map={"NW_Ordered": "NW_SC"}', "authority=HOSP"])
    with pytest.raises(CommandError):
        call_command("hl7_interface", "any", set=["nonsense=1"])
    with pytest.raises(CommandError):
        call_command("hl7_interface", "second")
    call_command("hl7_interface")
    assert "control_map" in capsys.readouterr().out
    call_command("hl7_parked", replay=[parked])
    assert Order.objects.count() == 1
