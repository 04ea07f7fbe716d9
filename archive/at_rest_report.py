"""What transcoding at rest has done and would still do, for each row of the policy table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from archive.at_rest_policy import Kind, Row, choose
from archive.errors import ArchiveError
from archive.frames import frames_of
from archive.locate import locate_by_pk
from archive.models import Instance, Representation, TranscodingAttempt
from dicom.errors import DicomError
from dicom.transfer_syntaxes import BY_UID, TransferSyntax

# Instances of each kind of which one frame is really encoded, and kinds of each row: its largest.
SAMPLES = 3
KINDS = 8
_KIND = (
    "series__modality",
    "pixels__photometric_interpretation",
    "pixels__bits_allocated",
    "transfer_syntax_uid",
)


@dataclass(slots=True)
class Amount:
    """Instances, and the bytes of their objects."""

    instances: int = 0
    bytes: int = 0

    def add(self, instances: int, size: int) -> None:
        """So many more."""
        self.instances += instances
        self.bytes += size


@dataclass(slots=True)
class RowReport:
    """One row of the table: what it applies to, what of that is done, and what was tried and is left as it is.

    ``made_bytes`` are those of the representations, ``made.bytes`` those of the objects that these were made from.
    """

    row: Row
    all: Amount
    made: Amount
    settled: Amount
    made_bytes: int = 0
    sampled: float | None = None

    @property
    def open(self) -> Amount:
        """What is still to be done."""
        if self.row.stored is None:
            return Amount()
        return Amount(
            self.all.instances - self.made.instances - self.settled.instances,
            self.all.bytes - self.made.bytes - self.settled.bytes,
        )


def report(rows: Sequence[Row], series: Sequence[int] | None = None) -> list[RowReport]:
    """What each of ``rows`` applies to, in all series or in these."""
    reports = {id(row): RowReport(row, Amount(), Amount(), Amount()) for row in rows}

    def of(kind: tuple[Any, ...]) -> RowReport:
        return reports[id(choose(rows, _kind(kind)))]

    for *kind, count, size in _framed(series).values_list(*_KIND).annotate(n=Count("pk"), size=Sum("object_size")):
        of(tuple(kind)).all.add(count, size)
    for *kind, uid, count, size, before in (
        _scoped(Representation.objects.all(), series)
        .values_list(*_of_instance(), "transfer_syntax_uid")
        .annotate(n=Count("pk"), size=Sum("object_size"), before=Sum("source_size"))
    ):
        found = of(tuple(kind))
        if found.row.stored is not None and found.row.stored.uid == uid:
            found.made.add(count, before)
            found.made_bytes += size
    for *kind, uid, count, size in (
        _scoped(TranscodingAttempt.objects.exclude(outcome=""), series)
        .values_list(*_of_instance(), "transfer_syntax_uid")
        .annotate(n=Count("pk"), before=Sum("instance__object_size"))
    ):
        found = of(tuple(kind))
        if found.row.stored is not None and found.row.stored.uid == uid:
            found.settled.add(count, size)
    return list(reports.values())


def sample(found: RowReport, rows: Sequence[Row], series: Sequence[int] | None = None) -> float | None:
    """Encoded bytes for each byte of native frames, of some frames of what is open for a row; ``None`` without any."""
    target = found.row.stored
    if target is None:
        return None
    native = encoded = 0
    for pk in _spread(found.row, rows, target, series):
        try:
            frames = frames_of(locate_by_pk(pk))
            middle = (frames.count + 1) // 2
            size = len(frames.transcoded(middle, target))
            pixels = frames.pixels
        except (ArchiveError, DicomError, Instance.DoesNotExist):
            continue
        native += pixels.rows * pixels.columns * pixels.samples_per_pixel * pixels.bits_allocated // 8
        encoded += size
    return encoded / native if native else None


def failures(series: Sequence[int] | None = None) -> Iterator[tuple[str, str, str]]:
    """SOP Instance UID, outcome and reason of what isn't tried again, the last ones first."""
    rows = _scoped(TranscodingAttempt.objects.filter(outcome="failed"), series).order_by("-updated_at", "-pk")
    yield from rows.values_list("instance__sop_instance_uid", "outcome", "reason")


def _spread(row: Row, rows: Sequence[Row], target: TransferSyntax, series: Sequence[int] | None) -> Iterator[int]:
    kinds = _framed(series).values_list(*_KIND).annotate(n=Count("pk"), size=Sum("object_size")).order_by("-size")
    own = [kind for *kind, _, _ in kinds if choose(rows, _kind(tuple(kind))) is row][:KINDS]
    for kind in own:
        same = _framed(series).filter(**dict(zip(_KIND, kind, strict=True)))
        done = Q(representations__transfer_syntax_uid=target.uid) | Q(
            transcoding_attempts__transfer_syntax_uid=target.uid, transcoding_attempts__outcome__gt=""
        )
        still_open = same.exclude(done).order_by("pk")
        count = still_open.count()
        for at in sorted({count * step // SAMPLES for step in range(SAMPLES)} if count else ()):
            yield from still_open[at : at + 1].values_list("pk", flat=True)


def _kind(values: tuple[Any, ...]) -> Kind:
    modality, photometric, bits, uid = values
    return Kind(modality, photometric or "", bits or 0, BY_UID[uid])


def _framed(series: Sequence[int] | None) -> QuerySet[Instance]:
    rows = Instance.objects.filter(frame_table__isnull=False).order_by()
    return rows if series is None else rows.filter(series__in=series)


def _scoped(rows: QuerySet[Any], series: Sequence[int] | None) -> QuerySet[Any]:
    return rows.order_by() if series is None else rows.filter(instance__series__in=series).order_by()


def _of_instance() -> list[str]:
    return [f"instance__{name}" for name in _KIND]
