"""Which documents the index knows: those are done, and a rebuild that was broken off goes on after them."""

from datetime import UTC, datetime
from typing import Any

from django.db.models import Q

from custody.facts.documents import Facts
from custody.facts.models import FactsDocument


def is_done(kind: str, facts: Facts) -> bool:
    """Whether the index has read, or written, this very document; or noted it, so that it knows what it says."""
    return FactsDocument.objects.filter(_named([facts.key]), kind=kind).exists()


def done(keys: list[str]) -> set[str]:
    """Those of ``keys`` that are."""
    found = FactsDocument.objects.filter(_named(keys)).values_list("object_key", "pending")
    return set(keys) & {key for pair in found for key in pair}


def _named(keys: list[str]) -> Q:
    return Q(object_key__in=keys) | Q(pending__in=keys)


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
