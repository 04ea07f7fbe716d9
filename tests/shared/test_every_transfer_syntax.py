"""Every shared file in every transfer syntax that the product says it can answer, read by decoders that are not ours.

Whole instances and frames, in process through every layer of the server. What can't be given is refused with 406 and a
reason; nothing is answered with 5xx.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from django.db import transaction
from pydicom import Dataset, dcmread

from archive.transcoding import TARGETS
from dicom import transfer_syntaxes as ts
from tests.dicom import transcoded
from tests.dicom.independent_pixels import KEYWORDS, describe
from tests.dicom.transcoded import Tally, read, same, samples
from tests.dicomweb.conftest import Door, body_of, door_for, technologist  # noqa: F401 - fixtures
from tests.shared.test_decode_shared import REFUSED, expected_array

SLICES = 12
# Output syntaxes that no other library reads: judged by the one that wrote them, through none of the product's code
SAME_LIBRARY = {ts.JPEG_XL_LOSSLESS.uid: "libjxl itself: no other library here reads JPEG XL"}
# Frames that no decoder can make anything of, in files whose others are sound: the body breaks off there.
BREAKS_OFF = {"single/SC/fo-dicom__multiframe.dcm"}
# pydicom takes what lies behind the last element for one
GARBAGE = {"damaged/trailing_garbage.dcm"}
LOSSY_COLOUR = 3
# Files that agree in all of these are alike to a codec
KIND = (
    "transfer_syntax",
    "photometric",
    "bits_allocated",
    "bits_stored",
    "samples",
    "pixel_rep",
    "planar",
    "frames",
)


def test_the_judges_know_every_target() -> None:
    assert {syntax.uid for syntax in TARGETS} == {syntax.uid for syntax in transcoded.TARGETS}
    judged = {*transcoded.READERS, *SAME_LIBRARY}
    assert judged == {syntax.uid for syntax in TARGETS} - {transcoded.ELE.uid}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.django_db
@pytest.mark.parametrize("part", range(SLICES))
def test_every_file_in_every_transfer_syntax(technologist: Door, shared_data: Path, part: int) -> None:  # noqa: F811
    with (shared_data / "dicom/index.csv").open(newline="") as index:
        targets = _targets(list(csv.DictReader(index)))
    names = list(targets)[part::SLICES]
    tally = Tally()
    stored = 0
    for name in names:
        # each file alone: some share their UIDs
        with transaction.atomic():
            stored += _file(technologist, shared_data, name, targets[name], tally)
            transaction.set_rollback(True)
    _print(tally, len(names) - stored)
    cells = sum(tally.judged.values()) + sum(tally.untested.values())
    assert cells == len(names) * len(TARGETS), "a cell of the table was passed over in silence"
    if folder := os.environ.get("PACS_REPORTS"):
        Path(folder, f"transfer-syntaxes-{part}.json").write_text(
            json.dumps(vars(tally) | {"stored": stored}, indent=1)
        )
    assert not tally.problems, "\n".join(tally.problems)
    assert stored > len(names) * 0.8
    assert sum(tally.answered.values()) > stored


def _targets(rows: list[dict[str, str]]) -> dict[str, list[ts.TransferSyntax]]:
    """Every output syntax for the first file of each kind and all damaged ones; of those alike one each, in turn.

    With PACS_EVERY_CELL all for all, which takes most of an hour.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    found = {}
    for row in rows:
        kind = tuple(row[column] for column in KIND)
        alike = seen[kind] and not row["path"].startswith("damaged/") and "PACS_EVERY_CELL" not in os.environ
        turn = transcoded.TARGETS[seen[kind] % len(transcoded.TARGETS)]
        found[row["path"]] = [turn] if alike else list(transcoded.TARGETS)
        seen[kind] += 1
    return found


def _print(tally: Tally, unstored: int) -> None:
    """The cells (a file in one output syntax) that were compared, and why each other one was not; shown with -s."""
    for name, count in sorted(tally.judged.items()):
        print(f"{count:5} compared  {name}")
    for why, count in sorted(tally.untested.items()):
        print(f"{count:5} untested  {why}")
    print(f"{unstored:5} files refused when they were stored")


def _file(door: Door, shared: Path, name: str, targets: list[ts.TransferSyntax], tally: Tally) -> int:
    data = (shared / "dicom" / name).read_bytes()
    answer = door.store([data])
    if answer.status_code not in (200, 202):
        tally.untested["the file is refused when it is stored"] += len(transcoded.TARGETS)
        return 0
    path = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0].partition("/dicom-web/")[2]
    original = dcmread(shared / "dicom" / name, force=True)
    wanted = dict(_expected(shared, name, original))
    tally.untested["another file of the same kind is compared in this syntax"] += len(TARGETS) - len(targets)
    for target in targets:
        _whole(door, path, name, data, original, target, wanted, tally)
        for number in wanted:
            _frame(door, path, name, original, target, number, wanted[number], tally)
    return 1


def _expected(shared: Path, name: str, original: Dataset) -> Iterator[tuple[int, Any]]:
    """First and last frame, as RGB if it is colour."""
    if name in REFUSED or not any(keyword in original for keyword in KEYWORDS) or "Rows" not in original:
        return
    try:
        pixels = describe(original)
    except (ValueError, TypeError):
        return
    colour = pixels.samples_per_pixel == 3 and pixels.photometric_interpretation[:3] in ("RGB", "YBR")
    shape = (pixels.rows, pixels.columns) + ((pixels.samples_per_pixel,) if pixels.samples_per_pixel > 1 else ())
    width = max(8, pixels.bits_allocated) // 8
    like = numpy.zeros(shape, f"{'i' if pixels.pixel_representation else 'u'}{width}")
    for number in sorted({1, pixels.number_of_frames}):
        if name in BREAKS_OFF and number > 1:
            continue
        yield (
            number,
            expected_array(
                shared, name, original, number, "RGB" if colour else pixels.photometric_interpretation, like
            ),
        )


def _rounding(original: Dataset, target: ts.TransferSyntax) -> int:
    """How far apart libraries may be: JPEG's inverse transform, and colours there and back."""
    syntax = ts.BY_UID[str(original.file_meta.TransferSyntaxUID)]
    if str(original.get("PhotometricInterpretation", "")).startswith("YBR"):
        return LOSSY_COLOUR
    return 0 if syntax.lossless else 1


def _whole(
    door: Door,
    path: str,
    name: str,
    data: bytes,
    original: Dataset,
    target: ts.TransferSyntax,
    wanted: dict[int, Any],
    tally: Tally,
) -> None:
    said = f"{name} as {target.name}"
    answer = door.get(path, accept=f"application/dicom; transfer-syntax={target.uid}")
    if answer.status_code != 200:
        _refused(answer, said, tally)
        tally.untested[f"406: {_kind_of(answer)}"] += 1
        return
    try:
        body = body_of(answer)
    except Exception as error:  # noqa: BLE001 - whatever breaks a body off is reported
        if name not in BREAKS_OFF:
            tally.problems.append(f"{said}: {type(error).__name__} {error}")
        tally.untested["a later frame is damaged: the body breaks off"] += 1
        return
    tally.answered[target.name] += 1
    if "Content-Length" in answer and int(answer["Content-Length"]) != len(body):
        tally.problems.append(f"{said}: {len(body)} bytes, {answer['Content-Length']} promised")
    if str(original.file_meta.TransferSyntaxUID) == target.uid:
        if body != data:
            tally.problems.append(f"{said}: not as stored")
        tally.equal[target.name] += body == data
        tally.judged[f"{target.name}: as stored, byte for byte"] += 1
        return
    written = read(body)
    if str(written.file_meta.TransferSyntaxUID) != target.uid:
        tally.problems.append(f"{said}: (0002,0010) is {written.file_meta.TransferSyntaxUID}")
        return
    if wanted:
        reader = SAME_LIBRARY.get(target.uid) or transcoded.READERS.get(target.uid, "pydicom")
        tally.judged[f"{target.name}: pixels, read by {reader}"] += 1
    elif "Rows" in original and name not in REFUSED:
        tally.untested["no independent decoder reads the file's own pixels; attributes compared"] += 1
    else:
        tally.judged[f"{target.name}: attributes, there are no pixels"] += 1
    right = True
    for number, expected in wanted.items():
        right &= _judge(written, number, expected, original, target, said, tally)
    before, after = transcoded.attributes(read(data)), transcoded.attributes(written)
    if name in GARBAGE:
        before = {tag: text for tag, text in before.items() if tag in after}
    other = [f"{tag:08X}" for tag in before.keys() | after.keys() if before.get(tag) != after.get(tag)]
    if other:
        tally.problems.append(f"{said}: other attributes {sorted(other)[:5]}")
    tally.equal[target.name] += right and not other


def _frame(
    door: Door,
    path: str,
    name: str,
    original: Dataset,
    target: ts.TransferSyntax,
    number: int,
    expected: Any,
    tally: Tally,
) -> None:
    said = f"{name} frame {number} as {target.name}"
    answer = door.get(f"{path}/frames/{number}", accept=f"application/octet-stream; transfer-syntax={target.uid}")
    if answer.status_code != 200:
        _refused(answer, said, tally)
        return
    tally.answered[f"frames, {target.name}"] += 1
    payload = body_of(answer)
    stored = ts.BY_UID[str(original.file_meta.TransferSyntaxUID)]
    if stored == target or (not stored.encapsulated and target == transcoded.ELE):
        tally.equal[f"frames, {target.name}"] += 1  # as stored; tests/shared/test_round_trip.py holds the bytes
        return
    alone = transcoded.frame_alone(original, payload, target)
    tally.equal[f"frames, {target.name}"] += _judge(alone, 1, expected, original, target, said, tally)


def _judge(
    written: Dataset,
    number: int,
    expected: Any,
    original: Dataset,
    target: ts.TransferSyntax,
    said: str,
    tally: Tally,
) -> bool:
    try:
        found = samples(written, number, transcoded.READERS.get(target.uid, ""))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported with its file
        tally.problems.append(f"{said}: the judge says {type(error).__name__} {error}")
        return False
    if not same(found, expected, rounded=_rounding(original, target)):
        apart = abs(found.astype("i8") - expected.astype("i8")).max() if found.shape == expected.shape else found.shape
        tally.problems.append(f"{said} [{number}]: other pixels ({apart}, {original.get('PhotometricInterpretation')})")
        return False
    return True


def _kind_of(answer: Any) -> str:
    """The reason without what differs from file to file."""
    detail = re.sub(r"[0-9]+", "N", str(answer.json()["detail"]))
    return "it is not among what is offered" if detail.startswith("available:") else detail[:70]


def _refused(answer: Any, said: str, tally: Tally) -> None:
    if answer.status_code != 406:
        tally.problems.append(f"{said}: {answer.status_code} {answer.content[:200]!r}")
        return
    tally.refused[answer.json()["detail"][:100]] += 1
