"""Checks of the Retrieve transaction (PS3.18 10.4)."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

from selftest.client import Answer, NotMet
from selftest.objects import COLUMNS, ROWS, Instance
from selftest.run import ABSENT, DICOM_JSON, NotOffered, Run, expect, expect_refusal, expect_that, values

OCTETS = "application/octet-stream"
PIXEL_DATA = "7FE00010"
SOP_INSTANCE_UID = "00080018"
_PICTURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"GIF8": "image/gif"}


def study_metadata(run: Run) -> None:
    """One object an instance, without pixel data in it."""
    answer = run.get(f"studies/{run.study.uid}/metadata", DICOM_JSON)
    expect(answer, 200)
    expect_that(answer.media_type in (DICOM_JSON, "application/json"), f"Content-Type is {answer.media_type}")
    found = answer.objects()
    wanted = {each.instance for each in run.study.instances}
    expect_that(len(found) == len(wanted), f"{len(found)} objects, expected {len(wanted)}")
    expect_that(set(values(found, SOP_INSTANCE_UID)) == wanted, "the objects are about other instances")
    inline = [each for each in found if "InlineBinary" in _element(each, PIXEL_DATA)]
    expect_that(not inline, "pixel data are inline, not by BulkDataURI")


def instance_metadata(run: Run) -> None:
    """pydicom makes a data set of it that has the values that were stored."""
    found = _metadata(run, run.study.slices[0])
    try:
        ds = Dataset.from_json(found, bulk_data_uri_handler=lambda uri: b"")
        got = (str(ds.PatientID), int(ds.Rows), int(ds.Columns), str(ds.StudyDescription))
    except Exception as error:
        raise NotMet(f"pydicom does not read it: {type(error).__name__}") from error
    wanted = (run.study.patient_id, ROWS, COLUMNS, "Self test")
    expect_that(got == wanted, "Patient ID, Rows, Columns or Study Description are not as stored")


def bulk_data_uri(run: Run) -> None:
    """What the metadata point to are the bytes that were stored."""
    instance = run.study.slices[0]
    uri = _element(_metadata(run, instance), PIXEL_DATA).get("BulkDataURI")
    if not isinstance(uri, str):
        raise NotOffered("the metadata have no BulkDataURI of Pixel Data (7FE0,0010)")
    path = uri if "://" in uri or uri.startswith("/") else f"{instance.path}/{uri}"
    answer = run.get(path, f'multipart/related; type="{OCTETS}"')
    expect(answer, 200)
    _payloads_are(answer, list(instance.frames))


def instances(run: Run) -> None:
    """Each object as it was stored."""
    for instance in run.study.slices:
        answer = run.get(instance.path, 'multipart/related; type="application/dicom"; transfer-syntax=*')
        expect(answer, 200)
        _payloads_are(answer, [instance.data])


def compressed_instance(run: Run) -> None:
    """``transfer-syntax=*`` is what was stored, not transcoded."""
    answer = run.get(run.study.compressed.path, 'multipart/related; type="application/dicom"; transfer-syntax=*')
    expect(answer, 200)
    _payloads_are(answer, [run.study.compressed.data])


def frame_quoted(run: Run) -> None:
    """``type="application/octet-stream"``."""
    _native_frame(run, f'multipart/related; type="{OCTETS}"')


def frame_unquoted(run: Run) -> None:
    """``type=application/octet-stream``, which many clients send."""
    _native_frame(run, f"multipart/related; type={OCTETS}")


def frames_any_syntax(run: Run) -> None:
    """A list of compressed frames as stored; each part says its transfer syntax."""
    accept = f'multipart/related; type="{OCTETS}"; transfer-syntax=*'
    answer = run.get(f"{run.study.compressed.path}/frames/3,1", accept)
    expect(answer, 200)
    parts = answer.parts()
    stored = run.study.compressed.frames
    expect_that([_bare(payload) for _, payload in parts] == [_bare(stored[2]), _bare(stored[0])], "other frames")
    said = (parts[0][0].get("Content-Type") or "").replace('"', "")
    expect_that(f"transfer-syntax={RLELossless}" in said.replace(" ", ""), "the parts do not say their transfer syntax")


def frames_decoded(run: Run) -> None:
    """Explicit VR Little Endian of what is stored compressed."""
    accept = f'multipart/related; type="{OCTETS}"; transfer-syntax={ExplicitVRLittleEndian}'
    answer = run.get(f"{run.study.compressed.path}/frames/2", accept)
    if answer.status == 406:
        raise NotOffered("status 406")
    expect(answer, 200)
    _payloads_are(answer, [bytes([100]) * (ROWS * COLUMNS)])


def no_such_frame(run: Run) -> None:
    """Beyond the last, and frame 0."""
    for number in (99, 0):
        expect_refusal(run.get(f"{run.study.compressed.path}/frames/{number}", f'multipart/related; type="{OCTETS}"'))


def rendered(run: Run) -> None:
    """A picture whose bytes are what Content-Type says."""
    _picture(run.get(f"{run.study.slices[0].path}/rendered", "image/jpeg"))


def thumbnail(run: Run) -> None:
    """The same, small."""
    _picture(run.get(f"{run.study.slices[0].path}/thumbnail", "image/jpeg"))


def unknown_study(run: Run) -> None:
    """Retrieve and metadata of a study that nobody has."""
    nobody = str(generate_uid(prefix=None))
    expect(run.get(f"studies/{nobody}", 'multipart/related; type="application/dicom"'), 404)
    expect(run.get(f"studies/{nobody}/metadata", DICOM_JSON), 404)


def unknown_instance(run: Run) -> None:
    """An unknown instance of a series that is there."""
    parent = run.study.slices[0].path.rpartition("/")[0]
    expect(run.get(f"{parent}/{generate_uid(prefix=None)}", 'multipart/related; type="application/dicom"'), 404)


def not_acceptable(run: Run) -> None:
    """A media type that no metadata has."""
    expect(run.get(f"{run.study.slices[0].path}/metadata", "image/png"), 406)


def _metadata(run: Run, instance: Instance) -> dict[str, Any]:
    answer = run.get(f"{instance.path}/metadata", DICOM_JSON)
    expect(answer, 200)
    found = answer.objects()
    expect_that(len(found) == 1, f"{len(found)} objects, expected 1")
    return found[0]


def _native_frame(run: Run, accept: str) -> None:
    instance = run.study.slices[0]
    answer = run.get(f"{instance.path}/frames/1", accept)
    expect(answer, 200)
    _payloads_are(answer, list(instance.frames))


def _payloads_are(answer: Answer, wanted: list[bytes]) -> None:
    payloads = [payload for _, payload in answer.parts()]
    expect_that(len(payloads) == len(wanted), f"{len(payloads)} parts, expected {len(wanted)}")
    for number, (got, stored) in enumerate(zip(payloads, wanted, strict=True), 1):
        if got != stored:
            raise NotMet(f"part {number}: {len(got)} bytes that are not the {len(stored)} bytes stored")


def _bare(frame: bytes) -> bytes:
    """Without the padding to an even length (PS3.5 A.4)."""
    return frame.rstrip(b"\0")


def _picture(answer: Answer) -> None:
    if answer.status in ABSENT:
        raise NotOffered(f"status {answer.status}")
    expect(answer, 200)
    found = next((name for magic, name in _PICTURES.items() if answer.body.startswith(magic)), "none that is known")
    expect_that(answer.media_type == found, f"Content-Type is {answer.media_type or 'missing'}, the picture is {found}")


def _element(found: dict[str, Any], tag: str) -> dict[str, Any]:
    element = found.get(tag)
    return element if isinstance(element, dict) else {}
