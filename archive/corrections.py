"""What is given instead of what objects say: stored bytes stay as they came, what leaves is corrected (PS3.3 C.12.1).

A feed that has spoken of a patient is believed rather than the objects; and objects that came under another identifier
carry that of the patient they are of now. Each data set that is changed says so, and how it was, in Original Attributes
Sequence (0400,0561).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import orjson
from pydicom.dataset import Dataset

from dicom.attributes import ATTRIBUTES

ORIGINAL_ATTRIBUTES = "04000561"
_MODIFIED_ATTRIBUTES, _MODIFIED_AT, _MODIFIED_BY = "04000550", "04000562", "04000563"
_PREVIOUS_SOURCE, _REASON = "04000564", "04000565"
_SYSTEM: Final = "LIGHTBOX"
# Of an identifier that was known as a further one from the beginning.
_LONG_AGO: Final = "19700101000000"
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_PATIENT: Final = {a.keyword: a for a in ATTRIBUTES if a.level == "patient"}
_ISSUER: Final = _PATIENT["IssuerOfPatientID"].tag
_IDENTITY: Final = frozenset({"PatientID", "IssuerOfPatientID"})
_VRS: Final = {a.tag: a.vr for a in _PATIENT.values()}

# What is corrected as a column of a statement about a study ``st`` and its patient ``p``, for ``correction_in``.
OF_STUDY: Final = f"""CASE WHEN st.original_patient_id IS NOT NULL OR p.told <> '{{}}' THEN json_build_object(
    {", ".join(f"'{keyword}', p.{attribute.column}" for keyword, attribute in _PATIENT.items())},
    'told', p.told, 'moved', st.original_patient_id IS NOT NULL, 'moment', p.corrected_at)::text END"""
# The same of an instance ``i`` of it. One that came under another patient than its study is given as it is: it must not
# look like that patient's.
OF_INSTANCE: Final = f"CASE WHEN NOT i.patient_mismatch THEN {OF_STUDY} END"

DataSet = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Correction:
    """Texts by tag (``00100010``) that are given instead, and the moment they were decided, a DT value in UTC."""

    texts: Mapping[str, str]
    moment: str

    @property
    def decided_at(self) -> datetime:
        """The moment, in seconds."""
        return datetime.strptime(self.moment, "%Y%m%d%H%M%S").replace(tzinfo=UTC)

    def attributes(self) -> DataSet:
        """The same as DICOM JSON attributes."""
        return {tag: _attribute(_VRS[tag], text) for tag, text in self.texts.items()}


@lru_cache(maxsize=64)
def correction_in(column: str | None) -> Correction | None:
    """The correction in a value of ``OF_STUDY`` or ``OF_INSTANCE``; instances of one study have the same."""
    return None if column is None else _correction(orjson.loads(column))


def _correction(known: Mapping[str, Any]) -> Correction | None:
    """What a feed told; of an object that came under another identifier also what is known beside it."""
    told, moved = set(known["told"]), known["moved"]
    texts = {
        attribute.tag: known[keyword]
        for keyword, attribute in _PATIENT.items()
        if keyword in told or (moved and (keyword in _IDENTITY or known[keyword]))
    }
    digits = "".join(c for c in (known["moment"] or "")[:19] if c.isdigit())
    return Correction(texts, digits or _LONG_AGO) if texts else None


def corrected(data_set: DataSet, correction: Correction) -> DataSet:
    """``data_set`` with what is corrected, and with how it was; itself where nothing differs."""
    wanted = correction.attributes()
    changed = {
        tag: attribute
        for tag, attribute in wanted.items()
        if data_set.get(tag, {}).get("Value") != attribute.get("Value")
    }
    if not changed:
        return data_set
    before = {tag: data_set.get(tag, {"vr": _VRS[tag]}) for tag in sorted(changed)}
    items = [*data_set.get(ORIGINAL_ATTRIBUTES, {}).get("Value", ()), _original(before, correction.moment)]
    after = data_set | changed | {ORIGINAL_ATTRIBUTES: {"vr": "SQ", "Value": items}}
    return {tag: after[tag] for tag in sorted(after)}


def corrected_text(text: bytes, correction: Correction | None) -> bytes:
    """A data set as DICOM JSON text with what is corrected; the same bytes where nothing differs."""
    if correction is None:
        return text
    data_set: DataSet = orjson.loads(text)
    after = corrected(data_set, correction)
    return text if after is data_set else orjson.dumps(after)


def corrected_header(header: Dataset, correction: Correction | None) -> Dataset:
    """``header``, in which attributes that it has say what is corrected."""
    for tag, text in correction.texts.items() if correction else ():
        if int(tag, 16) in header:
            header.add_new(int(tag, 16), _VRS[tag], text)
    return header


def as_stored(text: bytes, moment: str) -> bytes:
    """What ``corrected_text`` was made of, with the correction of this ``moment``."""
    if not moment or ORIGINAL_ATTRIBUTES.encode() not in text:
        return text
    data_set: DataSet = orjson.loads(text)
    items = data_set.get(ORIGINAL_ATTRIBUTES, {}).get("Value") or [{}]
    if _value(items[-1], _MODIFIED_AT) != moment or _value(items[-1], _MODIFIED_BY) != _SYSTEM:
        return text
    before: DataSet = items[-1][_MODIFIED_ATTRIBUTES]["Value"][0]
    after = data_set | before | {ORIGINAL_ATTRIBUTES: {"vr": "SQ", "Value": items[:-1]}}
    # Whatever names a patient has the others, if only empty (PS3.3 C.7.1.1): the issuer alone may not have been there.
    gone = {tag for tag in (ORIGINAL_ATTRIBUTES, _ISSUER) if tag in after and not after[tag].get("Value")}
    return orjson.dumps({tag: after[tag] for tag in sorted(after) if tag not in gone})


def _original(before: DataSet, moment: str) -> DataSet:
    return {
        _MODIFIED_ATTRIBUTES: {"vr": "SQ", "Value": [before]},
        _MODIFIED_AT: _attribute("DT", moment),
        _MODIFIED_BY: _attribute("LO", _SYSTEM),
        _PREVIOUS_SOURCE: _attribute("LO", ""),
        _REASON: _attribute("CS", "COERCE"),
    }


def _attribute(vr: str, text: str) -> DataSet:
    if not text:
        return {"vr": vr}
    if vr != "PN":
        return {"vr": vr, "Value": text.split("\\")}
    names = (zip(_NAME_GROUPS, name.split("=", 2), strict=False) for name in text.split("\\"))
    return {"vr": vr, "Value": [{group: part for group, part in groups if part} for groups in names]}


def _value(item: DataSet, tag: str) -> str:
    return str((item.get(tag, {}).get("Value") or [""])[0])
