"""THE table of what an order message does: order control (ORC-1) and order status (ORC-5) to one effect."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from worklist.order_messages import OrderRefusal, OrderRefused


class Effect(StrEnum):
    """What is done to the order."""

    CREATE = "create"  # or update it, if it is known
    NUMBER = "number"  # attach the placer's number
    CHANGE = "change"  # keep the state
    START = "start"
    COMPLETE = "complete"
    CANCEL = "cancel"  # unless it has images
    DISCONTINUE = "discontinue"
    GIVE_WAY = "give way"  # to the order that replaces it
    REPLACE = "replace"
    HOLD = "hold"
    RELEASE = "release"
    PARENT = "parent"  # what is scheduled are its children
    CHILD = "child"


_ANY = "*"
# (controls, statuses, effect); "" is an empty ORC-5, "*" any
_ROWS: Final = (
    ("NW SN", ("SC", "IP", ""), Effect.CREATE),
    ("NA", (_ANY,), Effect.NUMBER),
    ("XO", ("SC", ""), Effect.CHANGE),
    ("XO", ("CM",), Effect.COMPLETE),
    ("SC", ("IP", "A"), Effect.START),
    ("SC", ("CM",), Effect.COMPLETE),
    ("SC", ("DC", "CA"), Effect.DISCONTINUE),
    ("CA OC CR", ("CA", ""), Effect.CANCEL),
    ("DC OD", ("CA", "DC"), Effect.DISCONTINUE),
    ("RP RU", (_ANY,), Effect.GIVE_WAY),
    ("RO", (_ANY,), Effect.REPLACE),
    ("HD", ("HD",), Effect.HOLD),
    ("RL", ("SC",), Effect.RELEASE),
    ("PA", (_ANY,), Effect.PARENT),
    ("CH", (_ANY,), Effect.CHILD),
)
MATRIX: Final[Mapping[tuple[str, str], Effect]] = MappingProxyType(
    {
        (control, status): effect
        for controls, statuses, effect in _ROWS
        for control in controls.split()
        for status in statuses
    }
)
CONTROLS: Final = frozenset(control for control, _ in MATRIX)


def effect_of(control: str, status: str) -> Effect:
    """What ORC-1 and ORC-5 do. Raises ``OrderRefused`` for what the table does not have."""
    if control not in CONTROLS:
        raise OrderRefused(OrderRefusal.UNMAPPED_CONTROL, "ORC-1 is not an order control that is understood")
    found = MATRIX.get((control, status)) or MATRIX.get((control, _ANY))
    if found is None:
        raise OrderRefused(OrderRefusal.UNMAPPED_STATUS, f"ORC-5 is not an order status that goes with {control}")
    return found
