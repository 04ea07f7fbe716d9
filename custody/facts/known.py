"""Which documents the index knows: those are done, and a rebuild that was broken off goes on after them."""

from datetime import UTC, datetime
from typing import Any

from custody.facts.documents import Facts
from custody.facts.models import FactsDocument


def is_done(kind: str, facts: Facts) -> bool:
    """Whether the index has read, or written, this very document."""
    return FactsDocument.objects.filter(kind=kind, object_key=facts.key).exists()


def done(keys: list[str]) -> set[str]:
    """Those of ``keys`` that are."""
    return set(keys) & set(FactsDocument.objects.filter(object_key__in=keys).values_list("object_key", flat=True))


def remember(kind: str, subject: str, facts: Facts) -> None:
    """In the transaction that puts back what it says."""
    values: dict[str, Any] = {
        "folder": facts.folder,
        "version": facts.version,
        "object_key": facts.key,
        "digest": facts.digest,
        "pending": "",
    }
    FactsDocument.objects.update_or_create(kind=kind, subject=subject, defaults=values)


def moment_of(facts: Facts) -> datetime:
    """When it was so."""
    return datetime.fromtimestamp(facts.version / 1_000_000, UTC)
