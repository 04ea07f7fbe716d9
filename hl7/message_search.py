"""What can be asked of the messages that are kept: a frozen value becomes a queryset, newest first, without bytes.

A patient's or an order's number finds what a message did, and, among those that wait, also what stands in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import BinaryField, F, Func, IntegerField, Q, QuerySet, TextField, Value

from archive.models import Patient
from hl7.models import Hl7Message, MessageState
from worklist.models import Order

ACKS: Final = ("AA", "AE", "AR", "CA", "CE", "CR")
# Interface name of messages of senders whom nobody knows.
UNKNOWN: Final = "-"
# They wait for somebody, or had no effect: what they say stands in their bytes alone.
OPEN: Final = (MessageState.PARKED, MessageState.FAILED)
_UNTOLD: Final = (*OPEN, MessageState.RECEIVED)


class AckCode(Func):
    """MSA-1 of an answer; NULL where none was given."""

    template = "substring(encode(%(expressions)s, 'escape') from '\\rMSA.([ACER]{2})')"
    output_field = TextField()


class _Within(Func):
    """Where bytes begin within others, from 1; 0 if they don't."""

    function = "position"
    arg_joiner = " in "
    output_field = IntegerField()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked. All of it must hold; "" and None ask nothing.

    ``type`` is ``ADT`` or ``ADT^A04``. ``interface`` is a name, or ``UNKNOWN``. ``patient`` is a patient identifier's
    value, ``order`` a placer's, filler's or accession number. ``condition`` is of table 0357.
    """

    control_id: str = ""
    type: str = ""
    interface: str = ""
    state: str = ""
    ack: str = ""
    patient: str = ""
    order: str = ""
    condition: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def messages(self) -> QuerySet[Hl7Message]:
        """The messages, the newest first, each with ``ack``."""
        found = kept()
        if self.control_id:
            found = found.filter(control_id=self.control_id)
        if self.type:
            found = found.filter(Q(type=self.type) | Q(type__startswith=f"{self.type}^"))
        if self.interface:
            known = Q(interface__name=self.interface)
            found = found.filter(Q(interface=None) if self.interface == UNKNOWN else known)
        if self.state:
            found = found.filter(state=self.state)
        if self.condition is not None:
            found = found.filter(condition=self.condition)
        if self.ack:
            found = found.filter(Q(("ack", self.ack)))
        if self.since is not None:
            found = found.filter(received_at__gte=self.since)
        if self.until is not None:
            found = found.filter(received_at__lt=self.until)
        if self.patient:
            found = found.filter(_of_patient(self.patient))
        if self.order:
            found = found.filter(_of_order(self.order))
        return found

    def page(self, before: int | None, size: int) -> list[Hl7Message]:
        """At most ``size`` messages below the number ``before``."""
        found = self.messages()
        if before is not None:
            found = found.filter(pk__lt=before)
        return list(found[:size])

    def words(self) -> str:
        """What is asked, for the trail."""
        asked: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return "&".join(f"{name}={_word(value)}" for name, value in asked.items() if value)


def kept() -> QuerySet[Hl7Message]:
    """All messages, the newest first, each with ``ack`` and its interface, without its bytes."""
    rows = Hl7Message.objects.select_related("interface").defer("raw", "answer", "later")
    return rows.annotate(ack=AckCode(F("answer"))).order_by("-pk")


def attempts(message: Hl7Message) -> Sequence[Hl7Message]:
    """The messages with the same key (MSH-3, MSH-4, MSH-10), the first first; the message is one of them."""
    if not message.control_id:
        return [message]
    same = kept().filter(
        control_id=message.control_id,
        sending_application=message.sending_application,
        sending_facility=message.sending_facility,
    )
    return list(same.order_by("pk")[:50])


def _of_patient(identifier: str) -> Q:
    named = Patient.objects.filter(patient_id=identifier)
    persons = {row.person for row in named.only("pk", "merged_into_id")}
    rows = Patient.objects.filter(Q(pk__in=persons) | Q(merged_into__in=persons)).values("pk")
    return Q(patient__in=rows) | _says(identifier)


def _of_order(number: str) -> Q:
    by_number = Q(placer_number=number) | Q(filler_number=number) | Q(accession_number=number)
    return Q(order__in=Order.objects.filter(by_number).values("pk")) | _says(number)


def _says(text: str) -> Q:
    """Those that wait and say this between two delimiters, or anywhere: who reads them sees which."""
    sought = Value(text.encode(), output_field=BinaryField())
    waiting = Hl7Message.objects.filter(state__in=_UNTOLD).annotate(at=_Within(sought, F("raw"))).filter(at__gt=0)
    return Q(pk__in=waiting.values("pk"))


def _word(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
