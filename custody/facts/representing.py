"""Representations as facts have them: proved equal when they were made, so that only their headers are read again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from archive.models import Instance, Representation
from custody.facts import rows
from custody.facts.reading import UNREAD, Unread, header, many, unread
from custody.facts.tally import Tally


def restore_representations(said: Sequence[Mapping[str, Any]], tally: Tally) -> None:
    """Put back those whose instance is in the index; one that is missing is made again by a task."""
    if not said:
        return
    uids = [row["sop_instance_uid"] for row in said]
    pks = dict(Instance.objects.filter(sop_instance_uid__in=uids).values_list("sop_instance_uid", "pk"))
    keys = Representation.objects.filter(object_key__in=[row["object_key"] for row in said])
    known = set(keys.values_list("object_key", flat=True))
    wanted = [row for row in said if row["sop_instance_uid"] in pks and row["object_key"] not in known]
    found = []
    for row, described in zip(wanted, many(_described, wanted), strict=True):
        if isinstance(described, Unread):
            tally.problem(f"representations_{described.kind}", described.text)
        else:
            found.append({**row, **described, "instance_id": pks[row["sop_instance_uid"]]})
    tally.counts["representations"] += rows.insert(Representation, found)


def _described(row: Mapping[str, Any]) -> dict[str, Any] | Unread:
    """What is read again of the object."""
    try:
        parsed = header(row["object_key"], row["object_size"])
    except UNREAD as error:
        return unread(row["object_key"], error)
    if parsed.pixels is None or parsed.frames is None or parsed.sop_instance_uid != row["sop_instance_uid"]:
        return Unread("broken", f"{row['object_key']}: it is another instance than facts say")
    return {
        "header_length": parsed.header_length,
        "pixels": asdict(parsed.pixels),
        "frame_table": f"\\x{parsed.frames.pack().hex()}",
    }
