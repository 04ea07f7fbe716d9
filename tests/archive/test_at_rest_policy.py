"""The policy table: first match wins, lossy sources never, and rows that say what is wrong with them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from archive.at_rest_policy import OFF, Kind, choose, parse_row, table
from dicom.transfer_syntaxes import (
    BY_UID,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LS_LOSSLESS,
    JPEG_XL_JPEG_RECOMPRESSION,
    MPEG4_HIGH_41,
    RLE_LOSSLESS,
    TransferSyntax,
)
from pacs_project.config_at_rest import AtRestConfig

DEFAULT = table("JPEG2000Lossless", [])


def stored(rows: list[str], modality: str, photometric: str, bits: int, source: TransferSyntax) -> str:
    row = choose(table("JPEG2000Lossless", rows), Kind(modality, photometric, bits, source))
    return row.stored.keyword if row.stored else "keep"


@pytest.mark.parametrize("source", [EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN])
@pytest.mark.parametrize(
    ("bits", "expected"), [(8, "JPEG2000Lossless"), (16, "JPEG2000Lossless"), (1, "keep"), (32, "keep")]
)
def test_what_came_uncompressed_is_stored_as_jpeg_2000(source: TransferSyntax, bits: int, expected: str) -> None:
    assert stored([], "CT", "MONOCHROME2", bits, source) == expected


@pytest.mark.parametrize("source", [JPEG_LS_LOSSLESS, RLE_LOSSLESS])
def test_what_is_compressed_without_loss_stays_unless_a_row_says_so(source: TransferSyntax) -> None:
    assert stored([], "CT", "MONOCHROME2", 16, source) == "keep"
    assert stored(["* * * compressed -> HTJ2KLosslessRPCL"], "CT", "MONOCHROME2", 16, source) == "HTJ2KLosslessRPCL"


@pytest.mark.parametrize("syntax", BY_UID.values(), ids=lambda syntax: syntax.keyword)
def test_no_row_reaches_what_has_lost_something(syntax: TransferSyntax) -> None:
    greedy = ["* * * * -> JPEG2000Lossless", f"* * * {syntax.uid} -> JPEG2000Lossless"]
    assert (stored(greedy, "CT", "MONOCHROME2", 8, syntax) == "keep") == (not syntax.lossless)
    if syntax in (JPEG_BASELINE, MPEG4_HIGH_41, JPEG_XL_JPEG_RECOMPRESSION):
        assert not syntax.lossless


def test_the_first_row_that_matches_decides() -> None:
    rows = ["US,XA RGB 8 uncompressed -> keep", "CT MONOCHROME2 16 ExplicitVRLittleEndian -> 1.2.840.10008.1.2.4.202"]
    assert stored(rows, "US", "RGB", 8, EXPLICIT_VR_LITTLE_ENDIAN) == "keep"
    assert stored(rows, "US", "MONOCHROME2", 8, EXPLICIT_VR_LITTLE_ENDIAN) == "JPEG2000Lossless"
    assert stored(rows, "CT", "MONOCHROME2", 16, EXPLICIT_VR_LITTLE_ENDIAN) == "HTJ2KLosslessRPCL"
    assert stored(rows, "CT", "MONOCHROME2", 16, EXPLICIT_VR_BIG_ENDIAN) == "JPEG2000Lossless"


def test_off_stores_nothing() -> None:
    rows = table(OFF, ["* * * * -> JPEG2000Lossless"])
    kinds = [Kind("CT", "MONOCHROME2", 16, syntax) for syntax in BY_UID.values()]
    assert all(choose(rows, kind).stored is None for kind in kinds)


def test_rows_are_written_as_they_are_read() -> None:
    for row in DEFAULT:
        assert parse_row(str(row)) == row
    assert [str(row) for row in DEFAULT] == [
        "* * * lossy -> keep",
        "* * 8,16 uncompressed -> JPEG2000Lossless",
        "* * * * -> keep",
    ]
    assert DEFAULT[1].stored == JPEG_2000_LOSSLESS


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("CT * 16 -> keep", "MODALITIES PHOTOMETRIC BITS SOURCE -> STORED"),
        ("CT * 16 uncompressed keep", "MODALITIES PHOTOMETRIC BITS SOURCE -> STORED"),
        ("CT * many uncompressed -> keep", "Bits Allocated: expected numbers"),
        ("CT * 16 native -> keep", "source: expected uncompressed, compressed, lossy"),
        ("CT * 16 uncompressed -> JPEGBaseline8Bit", "stored: expected keep or a compressed"),
        ("CT * 16 uncompressed -> ExplicitVRLittleEndian", "stored: expected keep or a compressed"),
        ("CT * 16 uncompressed -> smaller", "stored: expected keep or a compressed"),
    ],
)
def test_a_wrong_row_is_refused_with_what_was_expected(row: str, told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        AtRestConfig(rows=[row])
    assert told in str(refused.value)
