"""Every shared file: the readable ones say what pydicom reads, the damaged ones get their reason."""

from __future__ import annotations

import csv
import os
from functools import cache
from pathlib import Path

import pytest

from dicom.errors import DicomError
from dicom.inflate import inflate
from dicom.part10 import parse
from dicom.transfer_syntaxes import BY_UID
from tests.dicom.part10_objects import Memory, is_readable, outcome
from tests.dicom.pydicom_oracle import differences, frame, reference_frames

pytestmark = pytest.mark.shared
DATA = Path(os.environ.get("PACS_SHARED_DATA") or Path(__file__).resolve().parents[3] / "shared/data") / "dicom"

# The damaged files that are refused, and why; all others are kept
DAMAGED = {
    "declared_explicit_is_implicit": (0xC000, "Explicit VR was declared"),
    "element_length_past_end": (0xC000, "(0010,0020) PatientID at byte 1346: 65520 bytes, 1992 are left"),
    "empty_file": (0xC000, "empty"),
    "html_not_dicom": (0xC000, "no DICM prefix"),
    "invalid_vr_letters": (0xC000, "(0010,0020) PatientID at byte 1348: ZZ is no VR"),
    "jpeg_not_dicom": (0xC000, "no DICM prefix"),
    "lower_case_vr": (0xC000, "lo is no VR"),
    "missing_series_uid": (0xA900, "SeriesInstanceUID is missing"),
    "missing_sop_class_uid": (0xA900, "SOPClassUID is missing"),
    "missing_sop_instance_uid": (0xA900, "SOPInstanceUID is missing"),
    "missing_study_uid": (0xA900, "StudyInstanceUID is missing"),
    "no_meta_implicit_le": (0xC000, "no File Meta Information"),
    "no_preamble_but_DICM": (0xC000, "no DICM prefix"),
    "no_preamble_no_magic": (0xC000, "no DICM prefix"),
    "only_magic": (0xC000, "no File Meta Information"),
    "preamble_with_script_polyglot": (0xC000, "the preamble carries"),
    "text_not_dicom": (0xC000, "no DICM prefix"),
    "truncated_in_header": (0xC000, "(0008,103E) SeriesDescription at byte 660: 36 bytes, 32 are left"),
    "truncated_in_pixel_data": (0xC000, "an element header at byte 16550: 7 bytes are left"),
    "uid_over_64_chars": (0xA900, "StudyInstanceUID is no UID"),
    "uid_sql_quote": (0xA900, "StudyInstanceUID is no UID"),
    "uid_with_letters": (0xA900, "StudyInstanceUID is no UID"),
    "unknown_transfer_syntax": (0xC122, "TransferSyntaxUID"),
    "zero_length_series_uid": (0xA900, "SeriesInstanceUID is empty"),
    "zero_length_sop_instance_uid": (0xA900, "SOPInstanceUID is empty"),
    "zero_length_study_uid": (0xA900, "StudyInstanceUID is empty"),
    "zip_not_dicom": (0xC000, "no DICM prefix"),
}
KEPT_WITH_WARNING = {
    "duplicate_element": "PatientID appears twice",
    "image_without_pixel_data": "an image without pixel data",
    "meta_uid_differs_from_dataset": "MediaStorageSOPInstanceUID",
    "missing_patient_id": "PatientID is missing or empty",
    "rows_disagree_with_pixel_length": "PixelData has 8192 bytes",
    "trailing_garbage": "256 bytes behind the last element",
}
# Where pydicom's text is not the reference: charset-expected.csv has the first two, and bytes that are not what the
# file declares are read in the likelier way
OTHER_TEXT = {
    "derived/charset_ISO_2022_IR_58.dcm",
    "derived/charset_ISO_IR_203.dcm",
    "derived/charset_latin1_bytes_declared_utf8.dcm",
    "derived/charset_utf8_bytes_undeclared.dcm",
    "single/OT/fo-dicom__chrGB2312.dcm",
}
# An Instance Number of 1.5, which pydicom loads as 1; garbage that pydicom takes for an element
OTHER_VALUES = {"damaged/illegal_da_tm_is_pn_values.dcm", "damaged/trailing_garbage.dcm"}


@cache
def files() -> list[str]:
    if not DATA.is_dir():
        return []
    with (DATA / "index.csv").open(encoding="utf-8") as index:
        return [row["path"] for row in csv.DictReader(index)]


def damaged() -> list[str]:
    return [path for path in files() if path.startswith("damaged/")]


@pytest.mark.parametrize("path", files())
def test_readable_files_say_what_pydicom_reads(path: str) -> None:
    data = (DATA / path).read_bytes()
    if Path(path).stem in DAMAGED or not is_readable(data):
        return
    source = Memory(data)
    parsed = parse(source)
    if path not in OTHER_VALUES:
        assert differences(data, parsed, source, texts=path not in OTHER_TEXT) == []
    syntax = BY_UID[parsed.transfer_syntax_uid]
    if parsed.frames is None:
        return
    stream = inflate(source) if syntax.deflated else source
    frames = [frame(parsed, stream, number + 1) for number in range(parsed.frames.count)]
    if syntax.media_type.startswith("video/"):
        assert len(frames) == 1
        assert frames[0] == b"".join(reference_frames(data))
    elif syntax.encapsulated:
        assert frames == reference_frames(data)
    else:
        assert parsed.pixels is not None
        complete = len(frames) == parsed.pixels.number_of_frames
        assert complete or any("PixelData has" in warning.text for warning in parsed.warnings)


def test_nearly_all_files_are_readable() -> None:
    assert sum(is_readable((DATA / path).read_bytes()) for path in files()) >= 540


@pytest.mark.parametrize("path", damaged())
def test_damaged_files_get_their_reason(path: str) -> None:
    data = (DATA / path).read_bytes()
    name = Path(path).stem
    if name in DAMAGED:
        reason, said = DAMAGED[name]
        with pytest.raises(DicomError) as caught:
            parse(Memory(data))
        assert caught.value.failure_reason == reason
        assert said in str(caught.value)
        return
    texts = [warning.text for warning in parse(Memory(data)).warnings]
    expected = KEPT_WITH_WARNING.get(name)
    assert texts == [] if expected is None else any(expected in text for text in texts)


def test_no_file_raises_anything_else() -> None:
    for path in files():
        found = outcome((DATA / path).read_bytes())
        assert not isinstance(found, DicomError) or found.failure_reason in (0xC000, 0xA900, 0xC122, 0x0122)


def names() -> list[tuple[str, str]]:
    if not DATA.is_dir():
        return []
    with (DATA / "charset-expected.csv").open(encoding="utf-8") as expected:
        return [(row["path"], row["patient_name"]) for row in csv.DictReader(expected)]


@pytest.mark.parametrize(("path", "name"), names())
def test_names_read_as_they_must(path: str, name: str) -> None:
    assert parse(Memory((DATA / path).read_bytes())).values["PatientName"] == name
