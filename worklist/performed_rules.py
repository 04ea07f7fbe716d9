"""What a modality has to say of a performed procedure step, and when (PS3.4 F.7.2.1, F.7.2.2, table F.7.2-1).

Data sets are DICOM JSON. Attributes of type 1 are asked for; of those of type 2 that were left out nothing is known,
which is what an empty one says. The texts of refusals end with the status of PS3.7 annex C.
"""

from collections.abc import Mapping
from typing import Any, Final

from archive.errors import ArchiveError, Conflict
from dicom.errors import DicomError
from dicom.json_checked import checked
from dicom.json_items import items, text, values
from dicom.uids import is_uid
from worklist.models import PerformedStatus

DataSet = dict[str, Any]

STATUS: Final = "00400252"
SCHEDULED_STEPS: Final = "00400270"
STUDY_INSTANCE_UID: Final = "0020000D"
_PERFORMED_SERIES, _SERIES_INSTANCE_UID, _REASON = "00400340", "0020000E", "00400281"
# Incorrect worklist entry selected (CID 9300)
_WRONG_ENTRY: Final = ("110514", "DCM")
_MOST_STEPS: Final = 100
# Type 1 at the creation
_AT_FIRST: Final[Mapping[str, str]] = {
    "00080060": "Modality",
    "00400241": "Performed Station AE Title",
    "00400244": "Performed Procedure Step Start Date",
    "00400245": "Performed Procedure Step Start Time",
    "00400253": "Performed Procedure Step ID",
    SCHEDULED_STEPS: "Scheduled Step Attributes Sequence",
}
# Type 1 in the final state
_AT_LAST: Final[Mapping[str, str]] = {
    "00400250": "Performed Procedure Step End Date",
    "00400251": "Performed Procedure Step End Time",
    _PERFORMED_SERIES: "Performed Series Sequence",
}
# Said once, at the creation
_FIXED: Final = frozenset(
    {
        *_AT_FIRST,
        *("00081120", "00100010", "00100020", "00100030", "00100040"),  # Patient
        *("00200010", "00400242", "00400243"),  # Study ID, Performed Station Name, Performed Location
    }
)


class InvalidPerformedStep(ArchiveError):
    """A data set is none of a performed procedure step, or has no value where it must have one."""


def well_formed(data_set: DataSet) -> DataSet:
    """The data set in one form, each value such as its VR has. Raises ``InvalidPerformedStep``."""
    try:
        return dict(checked(data_set))
    except DicomError as error:
        raise InvalidPerformedStep(f"{error} (status 0106)") from error


def check_new(data_set: DataSet) -> None:
    """Raises ``InvalidPerformedStep`` unless a performed procedure step may be created of ``data_set``."""
    if text(data_set, STATUS) != PerformedStatus.IN_PROGRESS:
        raise InvalidPerformedStep("(0040,0252) Performed Procedure Step Status has to be IN PROGRESS (status 0106)")
    _present(data_set, _AT_FIRST)
    if len(items(data_set, SCHEDULED_STEPS)) > _MOST_STEPS:
        raise InvalidPerformedStep(f"(0040,0270) has more than {_MOST_STEPS} items (status 0106)")
    for item in items(data_set, SCHEDULED_STEPS) or [{}]:
        if not is_uid(text(item, STUDY_INSTANCE_UID)):
            raise InvalidPerformedStep("(0040,0270)>(0020,000D) Study Instance UID is no UID (status 0106)")


def changed(known: DataSet, changes: DataSet) -> DataSet:
    """``known`` with ``changes``, of which each attribute is given as a whole.

    Raises ``InvalidPerformedStep`` for a status that there is none of, and ``Conflict``: what was said at the creation
    stays, and what ends has to be complete.
    """
    if text(known, STATUS) != PerformedStatus.IN_PROGRESS:
        raise Conflict("the performed procedure step is at its end and is not changed any more (status 0110, id A710)")
    if STATUS in changes and text(changes, STATUS) not in PerformedStatus.values:
        raise InvalidPerformedStep("(0040,0252) has to be IN PROGRESS, COMPLETED or DISCONTINUED (status 0106)")
    for tag in sorted(_FIXED & changes.keys()):
        if values(changes, tag) != values(known, tag):
            raise Conflict(f"({tag[:4]},{tag[4:]}) is given at the creation and does not change (status 0110)")
    merged = known | changes
    if text(merged, STATUS) != PerformedStatus.IN_PROGRESS:
        _complete(merged)
    return {tag: merged[tag] for tag in sorted(merged)}


def is_wrong_entry(data_set: DataSet) -> bool:
    """Whether it was discontinued because the wrong entry of the worklist had been picked."""
    reasons = {(text(item, "00080100"), text(item, "00080102")) for item in items(data_set, _REASON)}
    return text(data_set, STATUS) == PerformedStatus.DISCONTINUED and _WRONG_ENTRY in reasons


def _present(data_set: DataSet, wanted: Mapping[str, str]) -> None:
    for tag, name in wanted.items():
        if not any(value not in (None, "", {}) for value in values(data_set, tag)):
            raise InvalidPerformedStep(f"({tag[:4]},{tag[4:]}) {name} has no value (status 0121)")


def _complete(data_set: DataSet) -> None:
    try:
        _present(data_set, _AT_LAST)
    except InvalidPerformedStep as error:
        raise Conflict(f"at the end {error}") from error
    if not all(is_uid(text(item, _SERIES_INSTANCE_UID)) for item in items(data_set, _PERFORMED_SERIES)):
        raise Conflict("at the end (0040,0340)>(0020,000E) Series Instance UID is no UID (status 0106)")
