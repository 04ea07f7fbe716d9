"""Interface profiles: what one partner's messages mean, as data. Nothing about a partner stands in code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, tzinfo
from typing import Any, Final

from django.conf import settings

from archive.time_zones import site_zone
from hl7.charset import CODECS

_PLACE: Final = re.compile(r"[A-Z][A-Z0-9]{2}-\d+(\.\d+){0,2}")
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "missing_study_uid": ("accession_based", "generate", "reject"),
    "ack": ("auto", "original"),
    "on_semantic_error": ("nak", "ack_and_park"),
    "report_addendum": ("replace", "append"),
}
_PLACES: Final = ("accession_from", "study_uid_from", "procedure_code_from", "protocol_from")


class InvalidProfile(ValueError):
    """A profile says something that isn't understood; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One partner's rules; an empty tuple of versions or types accepts all that the product supports.

    ``authority`` is the assigning authority that leads a patient, and that of identifiers that name none; ``trusted``
    are those whose identifiers are taken up, all where it is empty. ``..._from`` are places in order of preference.
    ``report_addendum``: whether an addendum comes with the whole report again, or alone.
    ``control_map`` gives what the partner sends as ``ORC-1_ORC-5`` the standard's meaning: ``{"NW_Ordered": "NW_SC"}``.
    """

    types: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    processing_ids: tuple[str, ...] = ("P",)
    charset: str = "8859/1"
    time_zone: str = ""
    ack: str = "auto"
    on_semantic_error: str = "nak"
    authority: str = ""
    trusted: tuple[str, ...] = ()
    unqualified: bool = False
    adt_creates: bool = True
    accession_from: tuple[str, ...] = ("IPC-1", "OBR-18", "ORC-3")
    accession_issuer: str = ""
    study_uid_from: tuple[str, ...] = ("IPC-3", "ZDS-1")
    missing_study_uid: str = "accession_based"
    procedure_code_from: tuple[str, ...] = ("OBR-44", "OBR-4")
    protocol_from: tuple[str, ...] = ("IPC-6", "OBR-4.4", "OBR-4")
    report_addendum: str = "replace"
    control_map: Mapping[str, str] | None = None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Profile:
        """The profile in a row's JSON. Raises InvalidProfile."""
        known = {field.name: field for field in fields(cls)}
        if unknown := sorted(data.keys() - known.keys()):
            raise InvalidProfile(f"a profile has no {', '.join(unknown)}")
        values: dict[str, Any] = {}
        for name, value in data.items():
            default = known[name].default
            if isinstance(default, tuple):
                right = isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
            elif name == "control_map":
                right = isinstance(value, dict) and all(
                    isinstance(each, str) for pair in value.items() for each in pair
                )
            else:
                right = isinstance(value, type(default))
            if not right:
                raise InvalidProfile(f"{name}: another kind of value is expected")
            values[name] = tuple(value) if isinstance(default, tuple) else value
        profile = cls(**values)
        profile._check()
        return profile

    def _check(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InvalidProfile(f"{name}: one of {', '.join(choices)}")
        for name in _PLACES:
            if not all(_PLACE.fullmatch(place) for place in getattr(self, name)):
                raise InvalidProfile(f"{name}: places like OBR-4.4")
        if self.charset not in CODECS:
            raise InvalidProfile("charset: a name of HL7 table 0211")
        try:
            site_zone(self.time_zone)
        except Exception as error:
            raise InvalidProfile("time_zone: an IANA name, or an offset like +0100") from error

    @property
    def zone(self) -> tzinfo:
        """The clock of times that name no zone: the profile's, else the site's, else UTC."""
        return site_zone(self.time_zone) or site_zone(settings.PACS.time_zone) or UTC

    def controls(self, control: str, status: str) -> tuple[str, str]:
        """ORC-1 and ORC-5 as the standard has them."""
        found = (self.control_map or {}).get(f"{control}_{status}")
        if found is None:
            return control, status
        first, _, second = found.partition("_")
        return first, second
