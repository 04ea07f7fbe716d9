"""Matching inside Request Attributes Sequence of a series (PS3.4 C.2.2.2.6, PS3.18 8.3.4.1)."""

from collections.abc import Mapping, Sequence

from django.db.models import Lookup, Q, TextField

from archive.matching import EMPTY, is_universal, pattern

SEQUENCE = "00400275"
KEYS = frozenset({"00080050", "00400009", "00401001"})  # what ingest keeps of each item (dicom.part10)

_VALUES = "SELECT 1 FROM jsonb_array_elements_text(item -> %s::text -> 'Value') AS one WHERE "


@TextField.register_lookup
class HasItem(Lookup):
    """Some one item of the sequence (its attribute object as JSON text, or empty) has all of the given values.

    The right side is pairs of a tag and a LIKE pattern; ``None`` instead of a pattern wants no value.
    """

    lookup_name = "has_item"
    prepare_rhs = False

    def as_sql(self, compiler, connection):  # type: ignore[no-untyped-def]
        """The SQL of the comparison; tags and patterns are parameters."""
        left, before = self.process_lhs(compiler, connection)
        sql = f"EXISTS (SELECT 1 FROM jsonb_array_elements(NULLIF({left}, '')::jsonb -> 'Value') AS item WHERE TRUE"  # noqa: S608
        params = list(before)
        for tag, like in self.rhs:
            if like is None:
                sql += f" AND NOT EXISTS ({_VALUES} one <> '')"
                params.append(tag)
            else:
                sql += f" AND EXISTS ({_VALUES} one LIKE %s)"
                params += [tag, like]
        return f"{sql})", params


def item_condition(path: str, matches: Sequence[tuple[str, str]], *, empty: bool) -> Q | None:
    """The condition that one item of the sequence at ``path`` matches all of ``matches``, pairs of a tag and a text.

    ``None`` if every text is universal matching. With ``empty``, ``""`` matches what has no value, and so does a
    series without the sequence.
    """
    wanted: Mapping[str, str | None] = {
        tag: None if empty and text == EMPTY else pattern(text) for tag, text in matches if not is_universal(text)
    }
    if not wanted:
        return None
    found = Q(**{f"{path}__has_item": tuple(wanted.items())})
    if any(like is not None for like in wanted.values()):
        return found
    return found | ~Q(**{f"{path}__has_item": ()})
