"""What a grant opens: the rights it names, and the permissions of ``access.roles`` that each of them stands for."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from access.roles import Permission


class Right(StrEnum):
    """A right that a grant may name. RESHARE is for people: a share link makes no further links."""

    VIEW = "view"
    DOWNLOAD = "download"
    ANNOTATE = "annotate"
    UPLOAD = "upload"
    RESHARE = "reshare"


# Any one of the rights named opens the permission on the studies of the grant; what is not here no grant opens.
OPENS: Final[Mapping[str, frozenset[Right]]] = MappingProxyType(
    {
        Permission.SEARCH: frozenset({Right.VIEW}),
        Permission.RETRIEVE: frozenset({Right.VIEW}),
        Permission.OBJECTS: frozenset({Right.VIEW}),
        Permission.READ_REPORTS: frozenset({Right.VIEW}),
        Permission.WORKITEMS_READ: frozenset({Right.VIEW}),
        Permission.WORKITEMS_PERFORM: frozenset({Right.VIEW}),
        Permission.WORKITEMS_MANAGE: frozenset({Right.VIEW}),
        Permission.EXPORT: frozenset({Right.DOWNLOAD}),
        Permission.STORE: frozenset({Right.ANNOTATE, Right.UPLOAD}),
        Permission.ANNOTATE: frozenset({Right.ANNOTATE, Right.UPLOAD}),
    }
)
# What no share link opens: who makes one of images has not been asked about what was said of them, or is to be done.
NOT_OF_LINKS: Final = frozenset(
    {
        Permission.READ_REPORTS,
        Permission.WORKITEMS_READ,
        Permission.WORKITEMS_PERFORM,
        Permission.WORKITEMS_MANAGE,
    }
)
OF_LINKS: Final = (Right.VIEW, Right.DOWNLOAD, Right.ANNOTATE, Right.UPLOAD)
# SOP classes of what is said about images: presentation states, segmentations, structured reports and key objects
# (PS3.4 B.5: 11.*, 66.4, 66.7, 88.*).
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1"
_FAMILIES: Final = (f"{_STORAGE}.11.", f"{_STORAGE}.88.")
# Grayscale Softcopy Presentation State Storage stands for all of them.
AN_ANNOTATION: Final = f"{_STORAGE}.11.1"
_SEGMENTATIONS: Final = frozenset({f"{_STORAGE}.66.4", f"{_STORAGE}.66.7"})


def every_right() -> list[str]:
    """All rights: the grant of a person or a machine whose role alone says what may be done."""
    return [right.value for right in Right]


def storing(sop_class_uid: str) -> frozenset[Right]:
    """The rights of which one is needed to store an object of this class."""
    is_annotation = sop_class_uid.startswith(_FAMILIES) or sop_class_uid in _SEGMENTATIONS
    return OPENS[Permission.STORE] if is_annotation else frozenset({Right.UPLOAD})
