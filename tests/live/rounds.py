"""A round trip of many files through a running installation: stored over chunked HTTP, found, and read back.

What comes back is compared with what other authors' code makes of the file: the bytes by their hash, the metadata by
pydicom, the frames by decoders that the product does not use first.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset

from dicom import transfer_syntaxes as ts
from tests.dicom.independent_pixels import KEYWORDS, describe, frame_bytes, independent_array
from tests.live.server import LivePacs

BOUNDARY = "round-trip"
STORE_TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
BULK = 50
ROUNDED = {ts.JPEG_BASELINE.uid, ts.JPEG_EXTENDED.uid, ts.HTJ2K.uid}


@dataclass
class Report:
    """Counts, and every way in which a file was not treated right."""

    stored: int = 0
    warned: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    frames: int = 0
    decoded: int = 0
    undecoded: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Candidate:
    """A file, and what pydicom makes of it (``None`` where it can't read it)."""

    name: str
    data: bytes
    data_set: Dataset | None

    @property
    def uid(self) -> str:
        return str(self.data_set.get("SOPInstanceUID", "")) if self.data_set is not None else ""


def candidates(paths: Iterable[tuple[str, Path]]) -> Iterator[Candidate]:
    for name, path in paths:
        data = path.read_bytes()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                data_set = pydicom.dcmread(io.BytesIO(data), force=True)
        except Exception:  # noqa: BLE001 - the damaged ones fail in every way there is
            data_set = None
        yield Candidate(name, data, data_set)


def in_rounds(items: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    """Rounds in which no two different files share a SOP Instance UID: an archive keeps one of them only."""
    waiting = list(items)
    while waiting:
        uids: dict[str, bytes] = {}
        taken: list[Candidate] = []
        rest: list[Candidate] = []
        for item in waiting:
            (taken if not item.uid or uids.setdefault(item.uid, item.data) is item.data else rest).append(item)
        yield taken
        waiting = rest


def round_trip(live: LivePacs, items: Iterable[Candidate]) -> Report:
    """Every file through the whole way; the archive is emptied between rounds of files with the same UIDs."""
    report = Report()
    session = live.machine("technologist")
    for number, taken in enumerate(in_rounds(items)):
        if number:
            _empty(live)
        for start in range(0, len(taken), BULK):
            _store(live, session, taken[start : start + BULK], report)
        for item in taken:
            if item.name not in report.refused:
                _read_back(live, session, item, report)
    return report


def _empty(live: LivePacs) -> None:
    import psycopg

    with psycopg.connect(live.environment["PACS_DATABASE_URL"], autocommit=True) as connection:
        connection.execute("TRUNCATE archive_patient, archive_outboxentry CASCADE")


def chunked(items: Sequence[bytes]) -> Iterator[bytes]:
    """A multipart body in small pieces; an iterator makes ``requests`` send Transfer-Encoding: chunked."""
    for data in items:
        yield f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        for start in range(0, len(data), 60_000):
            yield data[start : start + 60_000]
        yield b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()


def _store(live: LivePacs, session: requests.Session, items: Sequence[Candidate], report: Report) -> None:
    """Store one by one, so that each answer is about one file."""
    for item in items:
        answer = session.post(
            f"{live.url}/dicom-web/studies",
            data=chunked([item.data]),
            headers={"Content-Type": STORE_TYPE, "Accept": "application/dicom+json"},
            timeout=120,
        )
        if answer.status_code not in (200, 202, 409):
            report.problems.append(f"{item.name}: store answered {answer.status_code} {answer.text[:200]}")
            report.refused[item.name] = str(answer.status_code)
            continue
        body = answer.json()
        failed = [entry for tag in ("00081198", "0008119A") for entry in body.get(tag, {}).get("Value", [])]
        kept = body.get("00081199", {}).get("Value", [])
        if len(failed) + len(kept) != 1 or (answer.status_code == 409) != bool(failed):
            report.problems.append(f"{item.name}: {answer.status_code} with {len(failed)} failed, {len(kept)} kept")
        if failed:
            report.refused[item.name] = f"{failed[0]['00081197']['Value'][0]:04X} {_comment(failed[0])}"
        elif "00081196" in kept[0]:
            report.warned[item.name] = f"{kept[0]['00081196']['Value'][0]:04X} {_comment(kept[0])}"


def _comment(entry: dict[str, Any]) -> str:
    return str(entry["00741048"]["Value"][0]["00000902"]["Value"][0])


def _read_back(live: LivePacs, session: requests.Session, item: Candidate, report: Report) -> None:
    assert item.data_set is not None, item.name
    ds = item.data_set
    report.stored += 1
    client = DICOMwebClient(url=f"{live.url}/dicom-web", session=session)
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    study, series, instance = (str(ds[keyword].value).strip() for keyword in keywords)
    try:
        _check_search(client, (study, series, instance), item, report)
        path = f"{live.url}/dicom-web/studies/{study}/series/{series}/instances/{instance}"
        accept = {"Accept": "application/dicom; transfer-syntax=*"}
        got = session.get(path, headers=accept, timeout=120)
        if hashlib.sha256(got.content).digest() != hashlib.sha256(item.data).digest():
            report.problems.append(f"{item.name}: {got.status_code}, other bytes came back")
        metadata = client.retrieve_instance_metadata(study, series, instance)
        _check_metadata(session, metadata, item, report)
        _check_frames(client, (study, series, instance), item, report)
    except requests.HTTPError as error:
        report.problems.append(f"{item.name}: {error}")


def _check_search(client: DICOMwebClient, uids: tuple[str, str, str], item: Candidate, report: Report) -> None:
    study, series, instance = uids
    found = (
        client.search_for_studies(search_filters={"StudyInstanceUID": study}),
        client.search_for_series(study, search_filters={"SeriesInstanceUID": series}),
        client.search_for_instances(study, series, search_filters={"SOPInstanceUID": instance}),
    )
    if [len(answers) for answers in found] != [1, 1, 1]:
        report.problems.append(f"{item.name}: found {[len(answers) for answers in found]}, not once at each level")


def _check_metadata(session: requests.Session, metadata: dict[str, Any], item: Candidate, report: Report) -> None:
    """The metadata loads in pydicom, says what the file says, and every BulkDataURI gives what it stands for."""
    assert item.data_set is not None
    uris: list[str] = []

    def fetch(tag: str, vr: str, uri: str) -> bytes:
        uris.append(uri)
        return b""

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = Dataset.from_json(metadata, bulk_data_uri_handler=fetch)
    for keyword in ("SOPInstanceUID", "SOPClassUID", "Modality", "Rows", "InstanceNumber", "PatientID"):
        try:
            ours, theirs = loaded.get(keyword), item.data_set.get(keyword)
        except Exception:  # noqa: BLE001, S112 - an illegal value that pydicom won't give out
            continue
        if _plain(ours) != _plain(theirs):
            report.problems.append(f"{item.name}: {keyword} is {ours!r} in the metadata, {theirs!r} in the file")
    for uri in uris[:20]:
        answer = session.get(uri, headers={"Accept": "*/*"}, timeout=120)
        if answer.status_code != 200 or not answer.content:
            report.problems.append(f"{item.name}: {uri.split('/bulkdata/')[1]} answered {answer.status_code}")


def _plain(value: Any) -> str:
    """A value as text; numbers without the form they were written in."""
    text = str(value or "").strip()
    try:
        return str(int(float(text)))
    except ValueError:
        return text


def _check_frames(client: DICOMwebClient, uids: tuple[str, str, str], item: Candidate, report: Report) -> None:
    """First, middle and last frame: as stored, and decoded to Explicit VR Little Endian."""
    ds = item.data_set
    assert ds is not None
    if not any(keyword in ds for keyword in KEYWORDS) or "Rows" not in ds:
        return
    try:
        pixels = describe(ds)
    except (ValueError, TypeError):
        report.undecoded[item.name] = "pydicom can't describe the pixels"
        return
    syntax = ts.BY_UID[str(ds.file_meta.TransferSyntaxUID)]
    for number in sorted({1, (pixels.number_of_frames + 1) // 2, pixels.number_of_frames}):
        try:
            expected = frame_bytes(ds, number)
        except Exception:  # noqa: BLE001 - no such frame for others either
            report.undecoded[f"{item.name}#{number}"] = "pydicom finds no such frame"
            continue
        base = client.base_url + "/studies/{}/series/{}/instances/{}/frames/{}".format(*uids, number)
        as_stored = {"Accept": "application/octet-stream; transfer-syntax=*"}
        stored = client._session.get(base, headers=as_stored, timeout=120)
        bits = pixels.rows * pixels.columns * pixels.samples_per_pixel * pixels.bits_allocated
        if stored.status_code == 404 and not syntax.encapsulated and len(ds[pixels.keyword].value) * 8 < bits:
            report.undecoded[f"{item.name}#{number}"] = "the pixel data don't fill one frame"
            continue
        if stored.status_code != 200:
            report.problems.append(f"{item.name}: frame {number} answered {stored.status_code} {stored.text[:120]}")
            continue
        report.frames += 1
        same = stored.content == expected or stored.content.rstrip(b"\0") == expected.rstrip(b"\0")
        if not same and syntax.little_endian:
            report.problems.append(f"{item.name}: frame {number} differs as stored")
        plain = f'application/octet-stream; transfer-syntax="{ts.EXPLICIT_VR_LITTLE_ENDIAN.uid}"'
        decoded = client._session.get(base, headers={"Accept": plain}, timeout=120)
        _check_decoded(decoded, item, number, syntax, report)


def _check_decoded(answer: Any, item: Candidate, number: int, syntax: ts.TransferSyntax, report: Report) -> None:
    if answer.status_code != 200:
        report.undecoded[f"{item.name}#{number}"] = f"{answer.status_code} {answer.text[:160]}"
        return
    assert item.data_set is not None
    pixels = describe(item.data_set)
    if pixels.bits_allocated == 1 or (pixels.photometric_interpretation == "YBR_FULL_422" and not syntax.encapsulated):
        return  # compared as stored: packed bits and shared chrominance are not spread out on the way
    arrays = []
    for photometric in ("RGB", pixels.photometric_interpretation) if pixels.samples_per_pixel == 3 else ("",):
        try:
            array = independent_array(item.data_set, number, photometric)
        except Exception as error:  # noqa: BLE001 - whatever another decoder raises
            report.undecoded[f"{item.name}#{number}"] = f"no other decoder: {type(error).__name__}"
            return
        arrays.append(array)
        if pixels.planar_configuration == 1:
            # Native colour leaves plane by plane where it lies so; and pydicom takes some codecs' pixels for planes.
            arrays.append(numpy.moveaxis(array, 2, 0))
    ours = numpy.frombuffer(answer.content[: arrays[0].nbytes], arrays[0].dtype)
    if ours.size != arrays[0].size:
        report.problems.append(f"{item.name}: frame {number} has {ours.size} samples, {arrays[0].size} expected")
        return
    report.decoded += 1
    apart = min(numpy.abs(ours.astype(float) - array.reshape(-1).astype(float)).max(initial=0) for array in arrays)
    if apart > (6 if syntax.uid in ROUNDED else 0):
        report.problems.append(f"{item.name}: frame {number} differs by {apart} when decoded")
