"""Events for subscribers: rows first, in the transaction of the change (PS3.4 CC.2.4, PS3.18 8.10.5).

The numbers of a subscriber are given under the lock of its row, which is kept until the commit: whoever reads them in
their order never misses one. Subscribers are locked in the order of their keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import F

from workitems.changes import EventType
from workitems.models import WorkItem
from workitems.reports import state_report
from workitems.requirements import UPS_PUSH
from workitems.subscription_models import EventReport, Subscriber, WorklistSubscription

# The well-known instances (PS3.6 table A-1): all workitems, which also stands for the service, and those that match.
GLOBAL: Final = "1.2.840.10008.5.1.4.34.5"
FILTERED: Final = "1.2.840.10008.5.1.4.34.5.1"
# Who listens to this is told the key of a subscriber that has news.
CHANNEL: Final = "workitem_events"
_EVENT_REPORT: Final = 0x0100
_HAS_DATA_SET: Final = 0x0000
_LARGEST_MESSAGE_ID: Final = 0xFFFF
_OF_US: Final = "LIGHTBOX"


@dataclass(frozen=True, slots=True)
class News:
    """One event of a subscriber: ``workitem`` is the key of its workitem, None for the service; ``data_set`` what is
    sent, with its number in (0009,1001), a private attribute of ``LIGHTBOX``."""

    number: int
    workitem: int | None
    data_set: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """What there is to tell: ``information`` is Event Information of table CC.2.4-1 as DICOM JSON."""

    kind: EventType
    workitem: WorkItem | None
    information: Mapping[str, Any]


@transaction.atomic
def service_restarted() -> int:
    """SCP Status Change (CC.2.4.3): the service is here again and has forgotten nothing; for whoever subscribed to a
    worklist."""
    status = {
        "00741242": {"vr": "CS", "Value": ["RESTARTED"]},
        "00741244": {"vr": "CS", "Value": ["WARM START"]},
        "00741246": {"vr": "CS", "Value": ["WARM START"]},
    }
    subscribers = WorklistSubscription.objects.values_list("subscriber", flat=True)
    return write(subscribers, [Event(EventType.SCP_STATUS_CHANGE, None, status)])


def current_state(workitem: WorkItem) -> Event:
    """A UPS State Report of the state as it is."""
    return Event(EventType.STATE_REPORT, workitem, state_report(workitem))


def write(subscribers: Iterable[int], events: Sequence[Event]) -> int:
    """The same ``events`` in their order for each of ``subscribers``, whose number is returned. In a transaction."""
    keys = sorted(set(subscribers))
    if not keys or not events:
        return 0
    locked = list(Subscriber.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk"))
    rows = [
        EventReport(
            subscriber=subscriber,
            number=subscriber.last_number + place,
            workitem=event.workitem,
            data_set=_data_set(event),
        )
        for subscriber in locked
        for place, event in enumerate(events, start=1)
    ]
    EventReport.objects.bulk_create(rows, batch_size=1000)
    Subscriber.objects.filter(pk__in=keys).update(last_number=F("last_number") + len(events))
    with connection.cursor() as cursor:
        for subscriber in locked:
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(subscriber.pk)])
    return len(locked)


def after(subscriber: int, number: int, limit: int) -> list[News]:
    """The events of ``subscriber`` behind ``number``, in their order."""
    rows = EventReport.objects.filter(subscriber=subscriber, number__gt=number).order_by("number")
    return [
        News(row["number"], row["workitem"], _numbered(row["data_set"], row["number"]))
        for row in rows.values("number", "workitem", "data_set")[:limit]
    ]


def last_numbers(subscribers: Iterable[int]) -> Mapping[int, int]:
    """The number of the last event of each."""
    return dict(Subscriber.objects.filter(pk__in=subscribers).values_list("pk", "last_number"))


def received(subscriber: int, number: int) -> None:
    """The subscriber has everything up to ``number``; less than it had before is nothing new."""
    Subscriber.objects.filter(pk=subscriber, received__lt=number, last_number__gte=number).update(received=number)


def _data_set(event: Event) -> dict[str, Any]:
    """N-EVENT-REPORT (PS3.7 table 10.3-1) with its information."""
    return {
        "00000002": {"vr": "UI", "Value": [UPS_PUSH]},
        "00000100": {"vr": "US", "Value": [_EVENT_REPORT]},
        "00000800": {"vr": "US", "Value": [_HAS_DATA_SET]},
        "00001000": {"vr": "UI", "Value": [event.workitem.uid if event.workitem else GLOBAL]},
        "00001002": {"vr": "US", "Value": [int(event.kind)]},
        **event.information,
    }


def _numbered(data_set: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """With Message ID, which has room for 16 bits only, and the number itself."""
    ours = {
        "00000110": {"vr": "US", "Value": [(number - 1) % _LARGEST_MESSAGE_ID + 1]},
        "00090010": {"vr": "LO", "Value": [_OF_US]},
        "00091001": {"vr": "UV", "Value": [number]},
    }
    return dict(sorted({**data_set, **ours}.items()))
