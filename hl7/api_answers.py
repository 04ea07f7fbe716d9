"""What the resources about messages are asked and answer, as they stand in the OpenAPI document."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

from rest_framework import serializers

from hl7.feeds import Feed
from hl7.message_search import ACKS, Asked
from hl7.models import Hl7Message, MessageState
from hl7.preview import Preview

MOST: Final = 200
LARGEST_ROW: Final = (1 << 63) - 1
_TYPE: Final = r"^[A-Za-z0-9]{1,4}(\^[A-Za-z0-9]{1,4})?$"


class _Text(serializers.CharField):
    """Text that a column can hold."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, max_length=200, **options)


class MessagesAsked(serializers.Serializer):  # type: ignore[type-arg]
    """Which messages: all filters hold together."""

    interface = _Text()
    type = serializers.RegexField(_TYPE, required=False, max_length=9)
    state = serializers.ChoiceField(choices=MessageState.choices, required=False)
    ack = serializers.ChoiceField(choices=list(ACKS), required=False)
    control_id = _Text()
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    before = serializers.IntegerField(required=False, min_value=0, max_value=LARGEST_ROW)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=MOST, default=50)


class MessagesSought(MessagesAsked):
    """The same, and what may not stand in an address: numbers of a patient, and of an order or accession."""

    patient = serializers.CharField(required=False, max_length=64)
    order = serializers.CharField(required=False, max_length=64)


class MessageAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A message as a list has it. ``condition`` and ``place`` are ERR-3 and ERR-2 of the answer, ``ack`` its MSA-1."""

    id = serializers.IntegerField()
    interface = serializers.CharField(allow_null=True)
    received_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    transport = serializers.CharField()
    type = serializers.CharField()
    control_id = serializers.CharField()
    state = serializers.ChoiceField(choices=MessageState.choices)
    ack = serializers.CharField(allow_null=True)
    condition = serializers.IntegerField(allow_null=True)
    place = serializers.CharField()
    error = serializers.CharField()
    effect = serializers.CharField()


class MessagesAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A page of messages, the newest first; ``next`` is the ``before`` of the next page, null on the last."""

    messages = MessageAnswer(many=True)
    next = serializers.IntegerField(allow_null=True)


class OneMessageAnswer(MessageAnswer):
    """A message with its bytes and those of its answers, in base64."""

    raw = serializers.CharField()
    answer = serializers.CharField(allow_null=True)
    later = serializers.CharField(allow_null=True)


class ReplayWish(serializers.Serializer):  # type: ignore[type-arg]
    """``dry_run``: say what applying the message would do, and do nothing."""

    dry_run = serializers.BooleanField(required=False, default=False)
    reason = serializers.CharField(required=False, max_length=500, default="", allow_blank=True)


class DismissalWish(serializers.Serializer):  # type: ignore[type-arg]
    """Why nothing is to be done about a message."""

    reason = serializers.CharField(max_length=500)


class ChangeAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A value that would be another; "" where there is none."""

    what = serializers.CharField()
    now = serializers.CharField(allow_blank=True)
    then = serializers.CharField(allow_blank=True)


class ReplayAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """What was done, or would be; ``changes`` only with ``dry_run``."""

    id = serializers.IntegerField()
    dry_run = serializers.BooleanField()
    effect = serializers.ListField(child=serializers.CharField())
    changes = ChangeAnswer(many=True)


class InterfaceAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """How an interface runs; ``name`` null stands for senders whom nobody knows. Counts are by MSA-1."""

    name = serializers.CharField(allow_null=True)
    active = serializers.BooleanField()
    sending_application = serializers.CharField(allow_blank=True)
    sending_facility = serializers.CharField(allow_blank=True)
    last_at = serializers.DateTimeField(allow_null=True)
    silent = serializers.BooleanField()
    waiting = serializers.IntegerField()
    today = serializers.DictField(child=serializers.IntegerField())
    last_hour = serializers.DictField(child=serializers.IntegerField())


def question(given: dict[str, Any]) -> Asked:
    """The question of what was checked."""
    asked = {name: value for name, value in given.items() if name not in ("before", "limit")}
    if "type" in asked:
        asked["type"] = asked["type"].upper()
    return Asked(**asked)


def told(message: Hl7Message) -> dict[str, Any]:
    """A message as a list has it; it carries ``ack``."""
    return {
        "id": message.pk,
        "interface": message.interface.name if message.interface else None,
        "received_at": message.received_at,
        "finished_at": message.finished_at,
        "transport": message.transport,
        "type": message.type,
        "control_id": message.control_id,
        "state": message.state,
        "ack": message.ack,  # type: ignore[attr-defined]
        "condition": message.condition,
        "place": message.place,
        "error": message.error,
        "effect": message.effect,
    }


def told_whole(message: Hl7Message) -> dict[str, Any]:
    """A message with its bytes."""
    return told(message) | {
        "raw": b64encode(message.raw).decode(),
        "answer": None if message.answer is None else b64encode(message.answer).decode(),
        "later": None if message.later is None else b64encode(message.later).decode(),
    }


def told_replay(message: int, found: Preview, *, dry_run: bool) -> dict[str, Any]:
    """What a replay did or would do."""
    changes = [{"what": each.what, "now": each.now, "then": each.then} for each in found.changes]
    return {"id": message, "dry_run": dry_run, "effect": list(found.words), "changes": changes}


def told_feed(feed: Feed) -> dict[str, Any]:
    """How an interface runs."""
    row = feed.interface
    return {
        "name": row.name if row else None,
        "active": row.active if row else True,
        "sending_application": row.sending_application if row else "",
        "sending_facility": row.sending_facility if row else "",
        "last_at": feed.last_at,
        "silent": feed.silent,
        "waiting": feed.waiting,
        "today": {each.ack: each.today for each in feed.counts},
        "last_hour": {each.ack: each.hour for each in feed.counts},
    }
