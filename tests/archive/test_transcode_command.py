"""``./pacs transcode``: what it says, what it does, and copies that lose something on purpose."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy
import pydicom
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from archive.at_rest_pace import paused
from archive.models import Instance, OutboxEntry, Representation, Series, TranscodingAttempt
from archive.object_store import object_store
from audit.models import AccessEvent
from dicom.transfer_syntaxes import JPEG_2000
from tests.archive.test_at_rest import COLUMNS, ROWS, configure, slices, stored
from tests.dicomweb.objects import make_data_set

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})
    monkeypatch.setattr("os.nice", lambda by: by)  # this process can't go back


def transcode(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    call_command("transcode", *words)
    return capsys.readouterr().out


def refused(*words: str) -> str:
    with pytest.raises(CommandError) as error:
        call_command("transcode", *words)
    return str(error.value)


def test_what_it_would_save_is_estimated_from_encoded_frames(capsys: pytest.CaptureFixture[str]) -> None:
    stored(slices(3))
    said = transcode(capsys, "--dry-run")
    [row] = [line for line in said.splitlines() if "uncompressed" in line]
    before = sum(Instance.objects.values_list("object_size", flat=True))
    assert "* * 8,16 uncompressed -> JPEG2000Lossless" in row
    assert [cell.strip() for cell in row.split("│")][2] == "3"
    share = int(row.rpartition("(")[2].partition("%")[0])
    assert not Representation.objects.exists()
    transcode(capsys, "--all")
    saved = 1 - sum(Representation.objects.values_list("object_size", flat=True)) / before
    assert abs(share / 100 - saved) < 0.15


def test_all_does_everything_and_again_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    one, other = stored(slices(2)), stored(slices(1))
    said = transcode(capsys, "--series", other.series_instance_uid)
    assert "1 made" in said
    said = transcode(capsys, "--all")
    assert "2 made" in said
    assert "saved of" in said
    assert "nothing to do" in transcode(capsys, "--study", one.study.study_instance_uid)
    assert "3 representations are sound, 0 are not" in transcode(capsys, "--verify", "--all")
    assert "not paused; series waiting: 2, given up: 0" in transcode(capsys, "--status")


def test_a_pause_stays_until_it_is_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    series = stored(slices(1))
    assert "paused" in transcode(capsys, "--pause")
    assert paused()
    assert refused("--all") == "transcoding is paused; --resume goes on"
    assert "paused; series waiting: 1" in transcode(capsys, "--status")
    transcode(capsys, "--resume")
    assert "1 made" in transcode(capsys, "--series", series.series_instance_uid)


def test_failures_are_told_with_their_reason_and_tried_again_when_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    [ds] = slices(1)
    series = stored([ds])
    instance = series.instances.get()
    TranscodingAttempt.objects.create(
        instance=instance, transfer_syntax_uid="1.2.840.10008.1.2.4.90", tries=3, outcome="failed", reason="bad luck"
    )
    said = transcode(capsys, "--all")
    assert "nothing to do" in said
    assert f"failed {ds.SOPInstanceUID}: bad luck" in said
    assert "1 made" in transcode(capsys, "--all", "--retry")


def test_verify_says_what_is_wrong_and_ends_with_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    stored(slices(1))
    transcode(capsys, "--all")
    object_store().delete(Representation.objects.get().object_key)
    assert refused("--verify", "--all") == "some were not sound"
    assert "0 representations are sound, 1 are not" in capsys.readouterr().out
    assert OutboxEntry.objects.filter(kind="at_rest").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "expected --study UID, --series UID or --all"),
        (("--study", "1.2.3"), "nothing is stored under this UID"),
        (("--lossy", "jpeg2000", "--ratio", "10"), "expected --study UID and --ratio N"),
        (("--lossy", "jpeg2000", "--ratio", "1", "--all"), "is no ratio"),
    ],
)
def test_what_makes_no_sense_is_refused(words: tuple[str, ...], told: str) -> None:
    assert told in refused(*words)


def copies_of(series: Series) -> list[Dataset]:
    rows = Instance.objects.filter(series__study=series.study).exclude(series=series).order_by("instance_number")
    return [pydicom.dcmread(io.BytesIO(b"".join(object_store().open_range(row.object_key)))) for row in rows]


@pytest.mark.parametrize("colour", [False, True])
def test_a_lossy_copy_is_labelled_and_stands_beside(capsys: pytest.CaptureFixture[str], colour: bool) -> None:
    values: dict[str, Any] = {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "SeriesDescription": "Thorax"}
    noise = numpy.random.default_rng(7)
    if colour:
        planes = noise.integers(0, 256, (ROWS, COLUMNS, 3), numpy.uint8)
        values |= {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
        values |= {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelData": planes.tobytes()}
    else:
        frames = noise.integers(0, 4096, (2, ROWS, COLUMNS), numpy.uint16)
        values |= {"NumberOfFrames": 2, "PixelData": frames.tobytes()}
    source = make_data_set(**{"Rows": ROWS, "Columns": COLUMNS, **values})
    series = stored([source])
    said = transcode(capsys, "--lossy", "jpeg2000", "--ratio", "8", "--study", source.StudyInstanceUID)
    assert "1 lossy copies made, 0 not" in said
    [copy] = copies_of(series)
    assert copy.file_meta.TransferSyntaxUID == JPEG_2000.uid
    assert copy.file_meta.MediaStorageSOPInstanceUID == copy.SOPInstanceUID != source.SOPInstanceUID
    assert copy.SeriesInstanceUID != source.SeriesInstanceUID
    assert copy.ImageType == ["DERIVED", "PRIMARY", "AXIAL"]
    assert (copy.LossyImageCompression, copy.LossyImageCompressionMethod) == ("01", "ISO_15444_1")
    assert 6 < float(copy.LossyImageCompressionRatio) < 12
    assert copy.SeriesDescription.startswith("Thorax JPEG 2000 lossy ")
    assert copy.DerivationDescription.startswith("Lossy compression with JPEG 2000, ")
    [reference] = copy.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == source.SOPClassUID
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121320"
    assert copy.DerivationCodeSequence[0].CodeValue == "113040"
    assert copy.PhotometricInterpretation == ("YBR_ICT" if colour else "MONOCHROME2")
    assert copy.PatientID == source.PatientID
    before = numpy.frombuffer(source.PixelData, "u1" if colour else "<u2").astype(int)
    error = numpy.abs(copy.pixel_array.astype(int).ravel() - before)
    assert 0 < error.mean() < (80 if colour else 1300)
    assert Instance.objects.get(series=series).sop_instance_uid == source.SOPInstanceUID
    assert AccessEvent.objects.filter(kind="import").exists()


def test_no_lossy_copy_of_mammograms_of_the_lossy_and_of_what_the_policy_names(
    capsys: pytest.CaptureFixture[str], settings: Any
) -> None:
    study = generate_uid()
    stored([make_data_set(StudyInstanceUID=study, Modality="MG")])
    stored([make_data_set(StudyInstanceUID=study, LossyImageCompression="01")])
    stored([make_data_set(StudyInstanceUID=study, Modality="PT")])
    configure(settings, never_lossy=["MG", "PT"])
    assert refused("--lossy", "jpeg2000", "--ratio", "10", "--study", study) == "nothing was made"
    said = capsys.readouterr().out
    assert "modality MG must not lose anything" in said
    assert "modality PT must not lose anything" in said
    assert "it has lost something once already" in said
    assert Instance.objects.count() == 3
