"""Matching inside Request Attributes Sequence of a series (PS3.4 C.2.2.2.6, PS3.18 8.3.4.1), by rows of its items."""

from collections.abc import Mapping, Sequence

from django.db.models import Exists, OuterRef, Q

from archive.matching import EMPTY, has_wildcard, is_universal, pattern
from archive.models import RequestAttributes
from archive.ready_query import PreparedSql

SEQUENCE = "00400275"
# What ingest keeps of each item (dicom.part10), and its column.
_COLUMNS: Mapping[str, str] = {
    "00080050": "accession_number",
    "00401001": "requested_procedure_id",
    "00400009": "scheduled_procedure_step_id",
}
KEYS = frozenset(_COLUMNS)

# 256 characters fit into an index; these attributes have 64 at the most. A value with several is kept as one.
_VALUE = r"""COALESCE((SELECT left(string_agg(value, '\' ORDER BY place), 256)
    FROM jsonb_array_elements_text(item -> '{tag}' -> 'Value') WITH ORDINALITY AS one (value, place)), '')"""


def items_of(series: str) -> str:
    """The statement that writes the rows which searches look into, for the series in the table ``series`` that have
    none yet: one an item, one where there is no item."""
    return f"""
        INSERT INTO archive_requestattributes (series_id, {", ".join(_COLUMNS.values())})
        SELECT e.id, {", ".join(_VALUE.format(tag=tag) for tag in _COLUMNS)} FROM {series} AS e
        LEFT JOIN LATERAL jsonb_array_elements(NULLIF(e.request_attributes, '')::jsonb -> 'Value') AS item ON TRUE
    """  # noqa: S608


def write_items(series_ids: Sequence[int]) -> None:
    """Write them for these series."""
    PreparedSql(f"{items_of('archive_series')} WHERE e.id = ANY(%s)").run([list(series_ids)])


def item_condition(path: str, matches: Sequence[tuple[str, str]], *, empty: bool) -> Q | None:
    """The condition that one item of the series at ``path`` matches all of ``matches``, pairs of a tag and a text.

    ``None`` if every text is universal matching. With ``empty``, ``""`` matches what has no value, and so does a
    series without the sequence.
    """
    wanted = [(_COLUMNS[tag], text) for tag, text in matches if not is_universal(text)]
    if not wanted:
        return None
    items = RequestAttributes.objects.filter(series=OuterRef(path))
    for column, text in wanted:
        if empty and text == EMPTY:
            items = items.filter(**{column: ""})
        elif has_wildcard(text):
            # What has no value is matched by no wild card.
            items = items.filter(**{f"{column}__like": pattern(text), f"{column}__gt": ""})
        else:
            items = items.filter(**{column: text})
    return Q(Exists(items))
