"""The tables of attributes, transfer syntaxes and VRs, held against PS3.6 as pydicom carries it."""

from __future__ import annotations

import pytest
from pydicom import uid as pydicom_uid
from pydicom.datadict import dictionary_keyword, dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from dicom import errors, vrs
from dicom.attributes import ATTRIBUTES, BY_KEYWORD, BY_TAG, Attribute
from dicom.transfer_syntaxes import (
    BY_UID,
    DEFLATED_IMAGE_FRAME,
    JPEG_XL,
    JPEG_XL_JPEG_RECOMPRESSION,
    JPEG_XL_LOSSLESS,
    TransferSyntax,
)


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda attribute: attribute.keyword)
def test_attributes_are_those_of_the_dictionary(attribute: Attribute) -> None:
    tag = int(attribute.tag, 16)
    assert dictionary_keyword(tag) == attribute.keyword
    assert dictionary_VR(tag) == attribute.vr
    assert BY_TAG[f"{tag:08X}"] is BY_KEYWORD[attribute.keyword] is attribute
    assert attribute.column.replace("_", "") == attribute.keyword.lower()
    expected = {"UI": "uid", "PN": "person_name", "DA": "date", "TM": "time", "IS": "number", "US": "number"}
    assert attribute.matching == expected.get(attribute.vr, attribute.matching)


def test_columns_are_snake_case() -> None:
    columns = {attribute.keyword: attribute.column for attribute in ATTRIBUTES}
    assert len(set(columns.values())) == len(ATTRIBUTES)
    assert columns["SOPInstanceUID"] == "sop_instance_uid"
    assert columns["IssuerOfPatientID"] == "issuer_of_patient_id"
    assert columns["TimezoneOffsetFromUTC"] == "timezone_offset_from_utc"


# Registered after the pinned pydicom was made (PS3.6 Table A-1)
NEWER = {JPEG_XL, JPEG_XL_LOSSLESS, JPEG_XL_JPEG_RECOMPRESSION, DEFLATED_IMAGE_FRAME}


OLDER = [syntax for syntax in BY_UID.values() if syntax not in NEWER]


@pytest.mark.parametrize("syntax", OLDER, ids=lambda syntax: syntax.keyword)
def test_transfer_syntaxes_are_those_of_the_registry(syntax: TransferSyntax) -> None:
    known = pydicom_uid.UID(syntax.uid)
    assert known.is_transfer_syntax
    assert known.is_implicit_VR == syntax.implicit_vr
    assert known.is_little_endian == syntax.little_endian
    assert known.is_deflated == syntax.deflated
    assert known.is_encapsulated == syntax.encapsulated
    assert known.keyword == syntax.keyword
    assert known.name == syntax.name
    assert syntax.lossless == (not syntax.encapsulated or "ossless" in known.name or "Uncompressed" in known.name) or (
        "Near-Lossless" in known.name
    )


def test_every_living_pixel_encoding_is_known() -> None:
    families = (
        pydicom_uid.JPEGTransferSyntaxes
        + pydicom_uid.JPEGLSTransferSyntaxes
        + pydicom_uid.JPEG2000TransferSyntaxes
        + pydicom_uid.MPEGTransferSyntaxes
        + pydicom_uid.RLETransferSyntaxes
    )
    assert set(families) <= set(BY_UID)


def test_vrs_are_those_of_the_standard() -> None:
    assert {vr.decode() for vr in vrs.SHORT} == {str(vr) for vr in EXPLICIT_VR_LENGTH_16}
    assert {vr.decode() for vr in vrs.LONG} == {str(vr) for vr in EXPLICIT_VR_LENGTH_32}


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (0x00080018, b"UI"),
        (0x00280106, vrs.SIGNED_OR_NOT),
        (0x7FE00010, b"OW"),
        (0x60023000, b"OW"),
        (0x00280010, b"US"),
        (0x00290010, b"LO"),
        (0x00291010, b"UN"),
        (0x00280000, b"UL"),
        (0x00081140, b"SQ"),
        (0x00FE1234, b"UN"),
    ],
)
def test_implicit_vrs(tag: int, vr: bytes) -> None:
    assert vrs.implicit_vr(tag) == vr


def test_failure_reasons_are_those_of_the_standard() -> None:
    # PS3.18 Table I.2-2 and PS3.7 Annex C
    assert errors.InvalidIdentifier.failure_reason == 0xA900
    assert errors.UnsupportedTransferSyntax.failure_reason == 0xC122
    assert errors.UnsupportedSOPClass.failure_reason == 0x0122
    assert errors.CannotDecode.failure_reason == 0x0110
    for error in (errors.NotDicom, errors.Malformed, errors.Truncated, errors.TooComplex):
        assert error.failure_reason == 0xC000
