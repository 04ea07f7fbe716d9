"""From the UIDs of a URL to rows, within the caller's scope: what is outside it does not exist (``NotFound``)."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Func, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.functions import JSONObject

from archive.corrections import Correction, correction_column, correction_in
from archive.errors import NotFound
from archive.models import Instance, QualityFinding, Representation, Series, Study
from archive.study_scope import StudyScope
from dicom.pixels import PixelDescription
from dicom.transfer_syntaxes import BY_UID, TransferSyntax


@dataclass(frozen=True, slots=True)
class Address:
    """Which part of the archive a request is about, from its URL."""

    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None

    @property
    def path(self) -> str:
        """The resource below the DICOMweb root (PS3.18 10.1.1)."""
        named = zip(("studies", "series", "instances"), astuple(self), strict=True)
        return "".join(f"/{name}/{uid}" for name, uid in named if uid is not None)


@dataclass(frozen=True, slots=True)
class Held:
    """An instance in a further transfer syntax, as the row of its representation describes it."""

    pk: int
    transfer_syntax_uid: str
    object_key: str
    object_size: int
    sha256: str  # hexadecimal
    header_length: int
    pixels: PixelDescription


@dataclass(frozen=True, slots=True)
class Located:
    """An instance as its row describes it: identity, where its bytes are, and its pixels."""

    pk: int
    series_pk: int
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: TransferSyntax
    object_key: str
    object_size: int
    object_sha256: bytes
    created_at: datetime
    header_length: int
    pixels: PixelDescription | None
    held: tuple[Held, ...] = ()
    # What is given instead of what the object says; of instances for the archive's own work nothing is.
    correction: Correction | None = None

    @property
    def address(self) -> Address:
        """Where in the archive it is."""
        return Address(self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid)


_FIELDS = (
    "pk",
    "series_id",
    "series__study__patient__patient_id",
    "series__study__study_instance_uid",
    "series__series_instance_uid",
    "sop_instance_uid",
    "sop_class_uid",
    "transfer_syntax_uid",
    "object_key",
    "object_size",
    "object_sha256",
    "created_at",
    "header_length",
    "pixels",
    "held",
)
# One column of the same query: rows of representations cost no query of their own.
_HELD = ArraySubquery(
    Representation.objects.filter(instance=OuterRef("pk"))
    .order_by("pk")
    .values(
        data=JSONObject(
            pk="pk",
            transfer_syntax_uid="transfer_syntax_uid",
            object_key="object_key",
            object_size="object_size",
            sha256=Func("object_sha256", Value("hex"), function="encode", output_field=TextField()),
            header_length="header_length",
            pixels="pixels",
        )
    )
)


Model = TypeVar("Model", Study, Series, Instance, QualityFinding)
# way to the study -> way to the series; None where rows are studies
_TO_SERIES: Mapping[str, str | None] = {
    "pk": None,
    "study": "pk",
    "series__study": "series",
    "instance__series__study": "instance__series",
}


def within(rows: QuerySet[Model], scope: QuerySet[Study], path: str) -> QuerySet[Model]:
    """``rows`` whose study (reached by ``path``) lies in ``scope``; an unlimited scope adds nothing to the query.

    Of a study that is reached in part only what is in these series: here, and nowhere else, the series count.
    """
    if is_unlimited(scope):
        return rows
    found = rows.filter(**{f"{path}__in": scope})
    to_series = _TO_SERIES[path]
    if to_series is None or not isinstance(scope, StudyScope) or scope.parts is None:
        return found
    partial, series, whole = scope.parts
    # In this order: PostgreSQL looks at what comes later only for studies that are reached in part.
    named = ~Q(**{f"{path}__in": partial}) | Q(**{f"{to_series}__in": series}) | Q(**{f"{path}__in": whole})
    return found.filter(named)


def is_unlimited(scope: QuerySet[Study]) -> bool:
    """True for a scope of all studies without exception."""
    return not scope.query.where


def is_everything(scope: QuerySet[Study]) -> bool:
    """True for a scope of all studies, with or without exceptions: whoever has it is told of what is gone as well."""
    return is_unlimited(scope) or (isinstance(scope, StudyScope) and scope.everything)


def untold(scope: QuerySet[Study]) -> QuerySet[Any] | None:
    """The UIDs of deleted studies of which a scope of everything is not told; None where it is told of all."""
    return scope.untold if isinstance(scope, StudyScope) else None


def locate(scope: QuerySet[Study], address: Address) -> list[Located]:
    """The instances at ``address`` in series and instance order. Raises ``NotFound`` when there are none."""
    rows = Instance.objects.filter(series__study__study_instance_uid=address.study_instance_uid)
    if address.series_instance_uid is not None:
        rows = rows.filter(series__series_instance_uid=address.series_instance_uid)
    if address.sop_instance_uid is not None:
        rows = rows.filter(sop_instance_uid=address.sop_instance_uid)
    rows = within(rows, scope, "series__study").order_by("series__series_number", "series_id", "instance_number", "id")
    told = rows.annotate(held=_HELD, correction=correction_column())
    found = [_located(row, correction_in(column)) for *row, column in told.values_list(*_FIELDS, "correction")]
    if not found:
        raise NotFound("nothing is stored under these UIDs")
    return found


def patient_ids(found: Sequence[Located | Series]) -> list[str]:
    """The Patient IDs of what was found, each once; a study has one, or none."""
    ids = (each.patient_id if isinstance(each, Located) else each.study.patient.patient_id for each in found)
    return list(dict.fromkeys(filter(None, ids)))


def locate_by_pk(pk: int) -> Located:
    """One instance for the archive's own work, outside any caller's scope."""
    return _located(Instance.objects.annotate(held=_HELD).values_list(*_FIELDS).get(pk=pk))


def locate_many(pks: Sequence[int]) -> list[Located]:
    """Those instances that are still there, in this order, for the archive's own work. One query."""
    rows = Instance.objects.filter(pk__in=pks).annotate(held=_HELD).values_list(*_FIELDS)
    found = {row[0]: row for row in rows}
    return [_located(found[pk]) for pk in pks if pk in found]


def locate_series(scope: QuerySet[Study], address: Address) -> list[Series]:
    """The series at ``address`` in order. Raises ``NotFound`` when there are none."""
    rows = Series.objects.filter(study__study_instance_uid=address.study_instance_uid)
    if address.series_instance_uid is not None:
        rows = rows.filter(series_instance_uid=address.series_instance_uid)
    if address.sop_instance_uid is not None:
        rows = rows.filter(instances__sop_instance_uid=address.sop_instance_uid)
    rows = within(rows, scope, "study").select_related("study__patient", "document")
    found = list(rows.order_by("series_number", "id"))
    if not found:
        raise NotFound("nothing is stored under these UIDs")
    return found


def _located(row: Sequence[Any], correction: Correction | None = None) -> Located:
    named = dict(zip(_FIELDS, row, strict=True))
    pixels = named["pixels"]
    return Located(
        pk=named["pk"],
        series_pk=named["series_id"],
        patient_id=named["series__study__patient__patient_id"],
        study_instance_uid=named["series__study__study_instance_uid"],
        series_instance_uid=named["series__series_instance_uid"],
        sop_instance_uid=named["sop_instance_uid"],
        sop_class_uid=named["sop_class_uid"],
        transfer_syntax=BY_UID[named["transfer_syntax_uid"]],
        object_key=named["object_key"],
        object_size=named["object_size"],
        object_sha256=bytes(named["object_sha256"]),
        created_at=named["created_at"],
        header_length=named["header_length"],
        pixels=PixelDescription(**pixels) if pixels is not None else None,
        held=tuple(Held(**each | {"pixels": PixelDescription(**each["pixels"])}) for each in named["held"]),
        correction=correction,
    )
