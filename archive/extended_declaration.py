"""What may be declared as an extended query tag: an attribute of PS3.6 or a private one, alone or inside sequences."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom.datadict import dictionary_keyword, tag_for_keyword

from archive import request_attributes
from archive.errors import ArchiveError, Conflict
from dicom.attributes import BY_TAG, Level, Matching
from dicom.json_values import dictionary_vrs

MOST_TAGS = 128
_DEEPEST = 8
_LONGEST_CREATOR = 64  # LO (PS3.5 6.2)
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_FIRST_OF_DATA_SETS = 0x0008  # groups below are of commands, files and directories
_LEVELS: Mapping[str, Level] = {"study": "study", "series": "series", "instance": "instance"}
# In every answer already, or nothing that an object could say of itself.
_ANSWERED = frozenset({"00080005", "00080056", "00080061", "00081190", "00201206", "00201208", "00201209"})

# VR -> how it is matched (PS3.4 C.2.2.2); "datetime" is of archive.extended_datetime. Others can't be searched.
MATCHINGS: Mapping[str, Matching | str] = {
    **dict.fromkeys(("AE", "AS", "CS", "LO", "LT", "SH", "ST", "UC", "UT"), "wildcard"),
    **dict.fromkeys(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"), "number"),
    **dict.fromkeys(("AT", "UR"), "single"),
    "PN": "person_name",
    "UI": "uid",
    "DA": "date",
    "TM": "time",
    "DT": "datetime",
}


class InvalidDeclaration(ArchiveError):
    """What was declared is no attribute that could be searched."""


@dataclass(frozen=True, slots=True)
class ExtendedAttribute:
    """A declared attribute: ``path`` as upper-case tags with dots between them, ``id`` of its row (0: none yet)."""

    path: str
    vr: str
    level: Level
    private_creator: str = ""
    id: int = 0

    @property
    def steps(self) -> Sequence[str]:
        """The tags of the path; all but the last are sequences."""
        return self.path.split(".")

    @property
    def label(self) -> str:
        """The path with keywords, for messages: ``00400275.00400009 ScheduledProcedureStepID``."""
        tag = int(self.steps[-1], 16)
        try:
            return f"{self.path} {dictionary_keyword(tag)}"
        except KeyError:
            return self.path


def path_of(name: str) -> str | None:
    """The path of a name of keywords or tags with dots between them; ``None`` if it is none."""
    steps = [_step(step) for step in name.split(".")]
    return ".".join(step for step in steps if step) if all(steps) and len(steps) <= _DEEPEST else None


def checked(path: str, vr: str, level: str, private_creator: str) -> ExtendedAttribute:
    """The attribute that is meant. Raises ``InvalidDeclaration``; ``Conflict`` for one that is searched anyway."""
    found = path_of(path)
    if found is None:
        raise InvalidDeclaration(
            "path: expected a keyword of PS3.6 or a tag of eight hexadecimal digits, several with dots between them"
        )
    steps = found.split(".")
    for step in steps[:-1]:
        if dictionary_vrs(int(step, 16)) != {"SQ"}:
            raise InvalidDeclaration(f"path: {step} is no sequence of PS3.6")
    if any(int(step[:4], 16) < _FIRST_OF_DATA_SETS for step in steps):
        raise InvalidDeclaration("path: groups below 0008 are not of data sets")
    if level.lower() not in _LEVELS:
        raise InvalidDeclaration("level: expected Study, Series or Instance")
    vr, creator = vr.strip().upper(), private_creator.strip()
    private = int(steps[-1][:4], 16) % 2 == 1
    vr = _private_vr(steps[-1], vr, creator) if private else _standard_vr(steps[-1], vr, creator)
    if vr not in MATCHINGS:
        raise InvalidDeclaration(f"vr: {vr} can't be searched; possible are {', '.join(sorted(MATCHINGS))}")
    if found in BY_TAG or found in _ANSWERED or _is_item_key(steps):
        raise Conflict(f"{found} is searched, or given in every answer, without a declaration")
    return ExtendedAttribute(found, vr, _LEVELS[level.lower()], creator)


def same_element(tag: str, private_creator: str) -> tuple[str, str]:
    """What tells private attributes apart wherever their block stands (PS3.5 7.8.1); of others, the tag."""
    return (f"{tag[:4]}xx{tag[6:]}", private_creator) if private_creator else (tag, "")


def _step(name: str) -> str | None:
    if _TAG.fullmatch(name):
        return name.upper()
    tag = tag_for_keyword(name)
    return f"{tag:08X}" if tag is not None else None


def _standard_vr(tag: str, vr: str, creator: str) -> str:
    if creator:
        raise InvalidDeclaration(f"privateCreator: {tag} is no private attribute; those have an odd group number")
    known = dictionary_vrs(int(tag, 16))
    if not known:
        raise InvalidDeclaration(f"path: {tag} is no attribute of PS3.6")
    if not vr and len(known) == 1:
        return next(iter(known))
    if vr not in known:
        raise InvalidDeclaration(f"vr: expected {' or '.join(sorted(known))} for {tag}")
    return vr


def _private_vr(tag: str, vr: str, creator: str) -> str:
    if tag[4:6] < "10" or tag[:4] == "FFFF":
        raise InvalidDeclaration(f"path: {tag} is no element of a private block, as gggg1000 to ggggFFFF are")
    if not creator or len(creator) > _LONGEST_CREATOR or not creator.isprintable() or "\\" in creator:
        raise InvalidDeclaration(
            f"privateCreator: expected the creator of {tag}, of at most {_LONGEST_CREATOR} letters"
        )
    if not vr:
        raise InvalidDeclaration(f"vr: expected the VR of the private attribute {tag}")
    return vr


def _is_item_key(steps: Sequence[str]) -> bool:
    return len(steps) == 2 and steps[0] == request_attributes.SEQUENCE and steps[1] in request_attributes.KEYS
