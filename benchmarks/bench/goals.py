"""The rows of the comparison, and how many times better than Orthanc the product has to be in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Row:
    """``best`` is the goal against the best Orthanc there is, ``debian`` that against Debian's 1.10.1; None: no goal.

    ``higher``: whether more is better. ``against`` names another row that both goals are measured against instead.
    """

    key: str
    title: str
    unit: str
    higher: bool
    best: float | None
    debian: float | None
    against: str = ""


_STORE: Final = (
    Row("stow_ct_b50_c1", "STOW, CT slices, batches of 50, 1 client", "instances/s", True, 4, 4),
    Row("stow_ct_b50_c4", "STOW, CT slices, batches of 50, 4 clients", "instances/s", True, 6, 6),
    Row("stow_ct_b1_c1", "STOW, one CT instance a request, 1 client", "instances/s", True, 1.3, 1.3),
    Row("stow_ct_b1_c4", "STOW, one CT instance a request, 4 clients", "instances/s", True, 1.6, 1.6),
    Row("stow_tiny_c1", "STOW, one tiny instance a request, 1 client", "instances/s", True, 0.6, 0.6),
    Row("afterwards", "work left to the background by a stored instance", "CPU ms", False, None, None),
)
_SEARCH: Final = (
    Row("qido_list_c1", "QIDO, OHIF's study list, latency", "ms", False, 10, 19),
    Row("qido_list_c8", "QIDO, OHIF's study list, 8 clients", "requests/s", True, 15, 33),
    Row("qido_name_c1", "QIDO, name wildcard", "ms", False, 10, 19),
    Row("qido_dates_c1", "QIDO, date range", "ms", False, 10, 19),
    Row("qido_patient_c1", "QIDO, exact PatientID", "ms", False, 2, 20),
    Row("qido_instances_c1", "QIDO, 300 instances of a series", "ms", False, 100, 200),
)
_READ: Final = (
    Row("metadata_fresh", "metadata of 300 slices, just ingested", "ms", False, 8, 8),
    Row("metadata_gzip", "metadata of 300 slices, warm, gzip", "ms", False, 10, 100),
    Row("open_fresh_first", "OHIF opens 300 slices just ingested, first image", "ms", False, 6, 6),
    Row("open_fresh_stack", "OHIF opens 300 slices just ingested, whole stack", "ms", False, 4, 10),
    Row("open_warm_first", "OHIF opens 300 slices again, first image", "ms", False, 6, 45),
    Row("open_warm_stack", "OHIF opens 300 slices again, whole stack", "ms", False, 3, 6),
    Row("frame_c6", "one frame, 6 connections", "frames/s", True, 3, 5.5),
    Row("frame_of_many_c6", "random frame of a multi-frame, 6 connections", "frames/s", True, 2.5, 50),
    Row("study", "whole study of 300 slices", "MB/s", True, 1, 1),
    Row("large_instance", "instance of 55 MB", "MB/s", True, 4, 4),
)
_PICTURES: Final = (
    Row("rendered_ct", "rendered CT slice", "ms", False, 3.5, 3.5),
    Row("rendered_cr", "rendered CR of 3000 x 2500", "ms", False, 2, 2),
    Row("rendered_us", "rendered frame of a colour US", "ms", False, 50, 50),
    Row("thumbnail", "thumbnail", "ms", False, 8, None),
    Row("transcode_c1", "CT frame from LE to J2K, 1 client", "frames/s", True, 1.1, 1.1),
    Row("transcode_c4", "CT frame from LE to J2K, 4 clients", "frames/s", True, 1.8, 1.8, "codec_ceiling"),
    Row("codec_ceiling", "J2K encoder alone, one core", "frames/s", True, None, None),
)
_MEMORY: Final = (Row("memory", "most memory at once, database included", "MB", False, 1, 1.2),)
_GROWTH: Final = (Row("qido_growth", "QIDO p95 of many studies against 2,000", "times", False, None, None),)
ROWS: Final = {row.key: row for row in (*_STORE, *_SEARCH, *_READ, *_PICTURES, *_MEMORY, *_GROWTH)}
MOST_GROWTH: Final = 3.0


def met(row: Row, ratio: float, *, debian: bool) -> bool | None:
    """Whether a goal was reached; None where there is none."""
    goal = row.debian if debian else row.best
    return None if goal is None else ratio >= goal
