"""Declared attributes as facts: declared again, values come with the instances that are indexed."""

from datetime import datetime
from typing import Any

from archive.extended_declaration import ExtendedAttribute
from archive.extended_models import ExtendedTag
from archive.extended_tags import DELETING, declare, enable, remove

_SAID = ("path", "vr", "level", "private_creator", "enabled")


def collect(subject: str) -> Any:
    """All that are declared."""
    rows = ExtendedTag.objects.exclude(status=DELETING).order_by("path").values_list(*_SAID)
    return [dict(zip(_SAID, row, strict=True)) for row in rows]


def restore(subject: str, value: Any, at: datetime) -> None:
    """Declare what is not, and take back what is no more; what is stored by then is walked through by a task."""
    said = {each["path"]: each for each in value or []}
    known = dict(ExtendedTag.objects.exclude(status=DELETING).values_list("path", "created_at"))
    missing = [
        ExtendedAttribute(each["path"], each["vr"], each["level"], each["private_creator"])
        for path, each in said.items()
        if path not in known
    ]
    if missing:
        declare(missing, _unrecorded)
    for path, created_at in known.items():
        if path not in said and created_at < at:
            remove(path, _unrecorded)
    for path, each in said.items():
        enable(path, each["enabled"], _unrecorded)


def _unrecorded() -> None:
    """The rebuild has an event of its own."""
