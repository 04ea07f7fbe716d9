"""Whole objects and frames in a transfer syntax that the client names (PS3.18 8.7.3.5, 10.4.1.1.1, 10.4.3; trap 28).

The files that come with pydicom, in every transfer syntax that the product says it answers, read by decoders not ours.
"""

from __future__ import annotations

import warnings
from struct import pack
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, generate_uid

from archive.frames import Frames
from archive.transcoding import TARGETS
from dicom import transfer_syntaxes as ts
from tests.dicom.independent_pixels import describe, independent_array
from tests.dicom.independent_pixels import packaged as data_set_of
from tests.dicom.transcoded import ELE, READERS, attributes, frame_alone, read, same, samples
from tests.dicom.transcoded import TARGETS as JUDGED
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import bits, encapsulated, native_frames, packaged
from tests.dicomweb.reading import parts_of, problem_of

DICOM = "application/dicom"
FILES = [
    "CT_small.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "MR_small_implicit.dcm",
    "image_dfl.dcm",
    "JPEG2000.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_rle_2frame.dcm",
    "examples_palette.dcm",
    "examples_ybr_color.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "rtdose_1frame.dcm",
]
SPOKEN_OF = {syntax.uid: syntax.keyword for syntax in JUDGED}


def stored(door: Door, data: bytes) -> str:
    answer = door.store([data])
    assert answer.status_code in (200, 202), answer.content
    return str(answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0].partition("/dicom-web/")[2])


def as_(syntax: ts.TransferSyntax, *, multipart: bool = False) -> str:
    if multipart:
        return f'multipart/related; type="{DICOM}"; transfer-syntax={syntax.uid}'
    return f"{DICOM}; transfer-syntax={syntax.uid}"


def expected_of(name: str, number: int) -> Any:
    dataset = data_set_of(name)
    colour = int(dataset.get("SamplesPerPixel", 1)) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return independent_array(dataset, number, "RGB" if colour else str(dataset.PhotometricInterpretation))


def test_the_judges_know_every_target() -> None:
    assert TARGETS == JUDGED


@pytest.mark.parametrize("name", FILES)
def test_every_target_reads_as_the_original(technologist: Door, name: str) -> None:
    """PS3.18 8.7.3.5; trap 28: whole and by frames, with the attributes that are true of what was sent."""
    path, original = stored(technologist, packaged(name)), data_set_of(name)
    lossless = ts.BY_UID[str(original.file_meta.TransferSyntaxUID)].lossless
    rounded = 3 if str(original.PhotometricInterpretation).startswith("YBR") else 0 if lossless else 1
    last = describe(original).number_of_frames
    given = []
    for target in TARGETS:
        answer = technologist.get(path, accept=as_(target))
        if answer.status_code == 406:
            assert describe(original).bits_allocated == 32 or describe(original).photometric_interpretation == (
                "YBR_FULL_422"
            ), answer.content
            problem_of(technologist.get(f"{path}/frames/1", accept=f"image/x; transfer-syntax={target.uid}"), 406)
            continue
        given.append(target)
        assert answer["Content-Type"] == as_(target)
        body = body_of(answer)
        if "Content-Length" in answer:
            assert int(answer["Content-Length"]) == len(body)
        written = read(body)
        assert written.file_meta.TransferSyntaxUID == target.uid
        assert written.SOPInstanceUID == original.SOPInstanceUID
        for number in {1, last}:
            expected = expected_of(name, number)
            found = samples(written, number, READERS.get(target.uid, ""))
            assert same(found, expected, rounded=rounded), (target.name, number)
            accept = f"application/octet-stream; transfer-syntax={target.uid}"
            frame = technologist.get(f"{path}/frames/{number}", accept=accept)
            assert frame["Content-Type"] == accept
            if target == ELE and not ts.BY_UID[str(original.file_meta.TransferSyntaxUID)].encapsulated:
                continue  # as stored
            alone = frame_alone(original, body_of(frame), target)
            assert same(samples(alone, 1, READERS.get(target.uid, "")), expected, rounded=rounded), target.name
        assert attributes(written) == attributes(read(packaged(name))), target.name
    assert ELE in given


@pytest.mark.parametrize(
    "name", ["rtplan.dcm", "test-SR.dcm", "waveform_ecg.dcm", "MR_small_bigendian.dcm", "reportsi.dcm"]
)
def test_what_has_no_frames_to_decode_is_written_explicit(technologist: Door, name: str) -> None:
    """PS3.5 A.2: every element with its VR, private and nested ones too."""
    try:
        data = packaged(name)
    except (AssertionError, ValueError):
        pytest.fail(f"pydicom no longer ships {name}")
    path = stored(technologist, data)
    answer = technologist.get(path, accept=as_(ELE))
    body = body_of(answer)
    assert int(answer["Content-Length"]) == len(body)
    written, original = read(body), read(data)
    assert written.file_meta.TransferSyntaxUID == ELE.uid
    assert attributes(written) == attributes(original)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_numbers_texts_and_private_elements_survive(technologist: Door, syntax: Any) -> None:
    """PS3.5 6.2.2, 7.3: signs by Pixel Representation, numbers turned round, private values kept."""
    icon = Dataset()
    icon.Rows, icon.Columns, icon.PixelRepresentation, icon.SmallestImagePixelValue = 2, 2, 0, 65_000
    ds = make_data_set(
        PixelRepresentation=1, SmallestImagePixelValue=-5, PatientName="Ünal^Ö", IconImageSequence=[icon]
    )
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.add_new(0x00280106, "SS", -5)
    ds.add_new(0x00090010, "LO", "LIGHTBOX TEST")
    ds.add_new(0x00091001, "FD", [1.5, -2.25])
    ds.add_new(0x00189087, "FD", 12.5)
    ds.add_new(0x00282200, "LO", "kept")
    path = stored(technologist, to_bytes(ds, syntax))
    written = read(body_of(technologist.get(path, accept=as_(ELE))))
    assert written.SmallestImagePixelValue == -5
    assert written.IconImageSequence[0].SmallestImagePixelValue == 65_000
    assert written.DiffusionBValue == 12.5
    assert str(written.PatientName) == "Ünal^Ö"
    private = written[0x00091001]
    values = private.value if private.VR == "FD" else np.frombuffer(private.value, "<f8").tolist()
    assert list(values) == [1.5, -2.25]
    assert written.pixel_array.tolist() == read(to_bytes(ds, syntax)).pixel_array.tolist()


def test_trap_28_a_frame_has_the_colours_that_the_metadata_name(technologist: Door) -> None:
    """YBR_FULL stays YBR_FULL; shared chrominance leaves as RGB by pixel, as clients take it."""
    for name, colours in (("SC_rgb_dcmtk_+eb+cy+n1.dcm", "YBR_FULL"), ("SC_rgb_dcmtk_+eb+cy+np.dcm", "RGB")):
        original = data_set_of(name)
        path = stored(technologist, packaged(name))
        frame = body_of(
            technologist.get(f"{path}/frames/1", accept=f"application/octet-stream; transfer-syntax={ELE.uid}")
        )
        written = read(body_of(technologist.get(path, accept=as_(ELE))))
        assert written.PhotometricInterpretation == colours
        assert written.PlanarConfiguration == 0
        assert written.LossyImageCompression == "01"
        assert frame == written.PixelData[: len(frame)]
        assert len(frame) == original.Rows * original.Columns * 3
        if original.PhotometricInterpretation in ("RGB", "YBR_FULL"):
            assert original.PhotometricInterpretation == colours


def test_lossy_sources_say_so_whatever_they_become(technologist: Door) -> None:
    data, ds = packaged("JPEG2000.dcm"), data_set_of("JPEG2000.dcm")
    assert not ts.BY_UID[str(ds.file_meta.TransferSyntaxUID)].lossless
    path = stored(technologist, data)
    for target in (ELE, ts.JPEG_LS_LOSSLESS):
        assert read(body_of(technologist.get(path, accept=as_(target)))).LossyImageCompression == "01"


def test_a_part_of_a_decoded_object(technologist: Door) -> None:
    """RFC 9110 14: its length is known before, so that it has ranges, and an entity tag of its own."""
    path = stored(technologist, packaged("SC_rgb_rle_2frame.dcm"))
    whole = technologist.get(path, accept=as_(ELE))
    body = body_of(whole)
    for first, last in ((0, 9), (500, len(body) - 1), (len(body) - 30_001, len(body) - 2)):
        part = technologist.get(path, accept=as_(ELE), range=f"bytes={first}-{last}")
        assert part.status_code == 206
        assert body_of(part) == body[first : last + 1]
    assert technologist.get(path, accept=as_(ELE), **{"if-none-match": whole["ETag"]}).status_code == 304
    assert technologist.get(path, accept=f"{DICOM}; transfer-syntax=*")["ETag"] != whole["ETag"]
    coded = technologist.get(path, accept=as_(ts.JPEG_2000_LOSSLESS))
    assert "Content-Length" not in coded
    assert (
        technologist.get(path, accept=as_(ts.JPEG_2000_LOSSLESS), **{"if-none-match": coded["ETag"]}).status_code == 304
    )


def test_bits_without_gaps(technologist: Door) -> None:
    """PS3.5 8.1.1: 1-bit frames of 35 bits, each coded alone, become one run of bits again."""
    ds, frames = bits()
    whole = bytes(ds.PixelData)
    coded = [pack("<16L", 1, 64, *[0] * 14) + bytes([len(frame) - 1]) + frame for frame in frames]
    shape: dict[str, Any] = {"Rows": 5, "Columns": 7, "BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
    data, _ = encapsulated([[frame + b"\0" * (len(frame) % 2)] for frame in coded], ts.RLE_LOSSLESS.uid, **shape)
    path = stored(technologist, data)
    written = read(body_of(technologist.get(path, accept=as_(ELE))))
    assert written.PixelData == whole
    problem_of(technologist.get(path, accept=as_(ts.JPEG_LS_LOSSLESS)), 406)


@pytest.fixture
def mixed(technologist: Door) -> dict[str, Any]:
    """A study of a CT slice, a report without pixels and a video."""
    uid, series = generate_uid(), generate_uid()
    ct = make_data_set(StudyInstanceUID=uid, SeriesInstanceUID=series)
    report = make_data_set(
        StudyInstanceUID=uid, SeriesInstanceUID=series, SOPInstanceUID=generate_uid(), InstanceNumber=2
    )
    del report.PixelData, report.Rows, report.Columns
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    video, _ = encapsulated(
        [[b"\0\0\0\x18ftypmp42" + bytes(52)]],
        ts.MPEG4_HIGH_41.uid,
        StudyInstanceUID=uid,
        SeriesInstanceUID=series,
        InstanceNumber=3,
    )
    objects = [to_bytes(ct), to_bytes(report), video]
    assert technologist.store(objects).status_code in (200, 202)
    return {"study": f"studies/{uid}", "objects": objects}


@pytest.mark.parametrize(("target", "count"), [(ELE, 2), (ts.JPEG_2000_LOSSLESS, 1), (ts.MPEG4_HIGH_41, 0)])
def test_10_4_3_what_cannot_be_given_stays_behind(
    technologist: Door, mixed: dict[str, Any], target: ts.TransferSyntax, count: int
) -> None:
    answer = technologist.get(mixed["study"], accept=as_(target, multipart=True))
    if count == 0:
        problem_of(answer, 406)
        return
    assert answer.status_code == 206
    assert answer["Warning"].startswith(f'299 Lightbox: "{3 - count} of 3 instances')
    parts = parts_of(answer)
    assert len(parts) == count
    for headers, payload in parts:
        assert headers["content-type"] == as_(target)
        assert read(payload).file_meta.TransferSyntaxUID == target.uid


@pytest.mark.parametrize(
    ("accept", "syntax"),
    [
        (f"{as_(ts.JPEG_2000_LOSSLESS)};q=0.3, {as_(ELE)};q=0.9", ELE),
        (f"{as_(ts.JPEG_2000_LOSSLESS)}, {as_(ELE)};q=0.9", ts.JPEG_2000_LOSSLESS),
        (f"{as_(ts.MPEG4_HIGH_41)}, {as_(ts.RLE_LOSSLESS)};q=0.1", ts.RLE_LOSSLESS),
        (f"{DICOM}; transfer-syntax=*, {as_(ELE)};q=0.5", ts.IMPLICIT_VR_LITTLE_ENDIAN),
        (DICOM, ts.IMPLICIT_VR_LITTLE_ENDIAN),
    ],
)
def test_weights_choose(technologist: Door, accept: str, syntax: ts.TransferSyntax) -> None:
    """PS3.18 8.7.8.1, RFC 9110 12.4.2. Without a name it is what is stored."""
    path = stored(technologist, to_bytes(make_data_set(), ImplicitVRLittleEndian))
    assert technologist.get(path, accept=accept)["Content-Type"] == as_(syntax)


def test_a_frame_in_an_image_type_alone(technologist: Door) -> None:
    """PS3.18 table 8.7.3-4: a media type means its default transfer syntax; a stored JPEG is content with itself."""
    ds, _ = native_frames(1)
    path = stored(technologist, to_bytes(ds))
    for media_type, syntax in (
        ("image/jls", ts.JPEG_LS_LOSSLESS),
        ("image/jp2", ts.JPEG_2000_LOSSLESS),
        ("image/jphc", ts.HTJ2K_LOSSLESS),
        ("image/dicom-rle", ts.RLE_LOSSLESS),
        ("image/jpeg", ts.JPEG_LOSSLESS_SV1),
    ):
        answer = technologist.get(f"{path}/frames/1", accept=media_type)
        assert answer["Content-Type"] == f"{media_type}; transfer-syntax={syntax.uid}"
        assert SPOKEN_OF[syntax.uid]
    other = stored(technologist, packaged("SC_rgb_jpeg_dcmtk.dcm"))
    assert technologist.get(f"{other}/frames/1", accept="image/jpeg")["Content-Type"].endswith(ts.JPEG_BASELINE.uid)
    assert technologist.get(f"{other}/frames/1", accept="*/*")["Content-Type"].startswith("multipart/related")


def test_wado_uri_takes_a_transfer_syntax(technologist: Door) -> None:
    """PS3.18 9.1.2.2.1."""
    data = packaged("MR_small_RLE.dcm")
    stored(technologist, data)
    ds = read(data)
    words = (
        f"wado?requestType=WADO&studyUID={ds.StudyInstanceUID}&seriesUID={ds.SeriesInstanceUID}"
        f"&objectUID={ds.SOPInstanceUID}&contentType=application/dicom&transferSyntax="
    )
    answer = technologist.get(words + ELE.uid)
    assert answer["Content-Type"] == as_(ELE)
    assert read(body_of(answer)).file_meta.TransferSyntaxUID == ELE.uid
    assert technologist.get(words + ts.MPEG4_HIGH_41.uid).status_code == 406
    assert body_of(technologist.get(words + "*")) == data


def test_head_of_a_decoded_object_has_its_length(technologist: Door) -> None:
    path = stored(technologist, packaged("MR_small_RLE.dcm"))
    length = len(body_of(technologist.get(path, accept=as_(ELE))))
    head = technologist.http.head(f"/dicom-web/{path}", headers={"accept": as_(ELE)})
    assert (head.status_code, body_of(head)) == (200, b"")
    assert int(head["Content-Length"]) == length


@pytest.mark.parametrize("name", ["CT_small.dcm", "SC_rgb_rle_2frame.dcm"])
def test_a_frame_is_made_once_for_whole_objects_and_for_itself(
    technologist: Door, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several clients that open one series cost one encoding; what they get is the same, byte for byte."""
    made: list[tuple[int, ts.TransferSyntax]] = []
    transcoded = Frames.transcoded

    def counted(frames: Frames, number: int, target: ts.TransferSyntax) -> bytes:
        made.append((number, target))
        return transcoded(frames, number, target)

    monkeypatch.setattr(Frames, "transcoded", counted)
    path, count = stored(technologist, packaged(name)), describe(data_set_of(name)).number_of_frames
    series = path.rpartition("/instances/")[0]
    first = body_of(technologist.get(path, accept=as_(ts.HTJ2K_LOSSLESS)))
    again = technologist.get(series, accept=as_(ts.HTJ2K_LOSSLESS, multipart=True))
    assert [part for _, part in parts_of(again)] == [first]
    frame = technologist.get(f"{path}/frames/1", accept=f"image/jphc; transfer-syntax={ts.HTJ2K_LOSSLESS.uid}")
    assert body_of(frame) in first
    assert sorted(number for number, _ in made) == [*range(1, count + 1)]
