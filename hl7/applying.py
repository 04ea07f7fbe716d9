"""A kept message applied by the rules of its interface, in the caller's transaction."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from hl7.acknowledgement import ANSWERS
from hl7.effects import Arrived, Effect
from hl7.errors import Condition, Place, Refused
from hl7.handlers import handler_of
from hl7.header import Header
from hl7.message import Message
from hl7.models import Hl7Message
from hl7.patient_fields import told_at
from hl7.profiles import Profile

VERSIONS: Final = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2")


def for_us(header: Header, profile: Profile) -> None:
    """Raises Refused where the header alone says that the message isn't for us, or isn't supported."""
    header.require()
    if header.type in ANSWERS:
        raise Refused(Condition.UNSUPPORTED_MESSAGE_TYPE, Place("MSH", 9), "answers aren't taken")
    if header.text(11) not in profile.processing_ids:
        raise Refused(Condition.UNSUPPORTED_PROCESSING_ID, Place("MSH", 11), "processing id not taken here")
    if header.text(12) not in VERSIONS or (profile.versions and header.text(12) not in profile.versions):
        raise Refused(Condition.UNSUPPORTED_VERSION, Place("MSH", 12), "version not supported")
    handler_of(header, profile.types)


def apply(kept: Hl7Message, message: Message, profile: Profile, actor: str) -> Effect:
    """Do what the message says; nothing of it where it is refused. Raises Refused."""
    with transaction.atomic():
        moment = told_at(message, profile, kept.received_at, str(kept.pk), actor)
        return handler_of(message.header, profile.types)(Arrived(message, profile, moment))
