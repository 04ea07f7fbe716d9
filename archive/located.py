"""What a look-up finds: instances and series as their rows describe them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from archive.corrections import Correction
from archive.payload import StoredSource
from dicom.pixels import PixelDescription
from dicom.transfer_syntaxes import TransferSyntax


@dataclass(frozen=True, slots=True)
class Address:
    """Which part of the archive a request is about, from its URL."""

    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None

    @property
    def path(self) -> str:
        """The resource below the DICOMweb root (PS3.18 10.1.1)."""
        path = f"/studies/{self.study_instance_uid}"
        if self.series_instance_uid is not None:
            path += f"/series/{self.series_instance_uid}"
        if self.sop_instance_uid is not None:
            path += f"/instances/{self.sop_instance_uid}"
        return path


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
    frame_table: bytes  # b"" where it is too long to be read with the instance
    block_crcs: bytes | None = None  # as StoredSource has them


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
    frame_table: bytes | None  # b"" where it is too long to be read with the instance, None where there are no frames
    held: tuple[Held, ...] = ()
    # What is given instead of what the object says; of instances for the archive's own work nothing is.
    correction: Correction | None = None
    block_crcs: bytes | None = None  # as StoredSource has them

    @property
    def source(self) -> StoredSource:
        """Its object."""
        return StoredSource(self.object_key, self.object_size, self.block_crcs)

    @property
    def header(self) -> StoredSource:
        """Its object up to the pixels."""
        return StoredSource(self.object_key, self.object_size, self.block_crcs, self.header_length)

    @property
    def address(self) -> Address:
        """Where in the archive it is."""
        return Address(self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid)


@dataclass(frozen=True, slots=True)
class LocatedDocument:
    """The prepared metadata of a series at one ``version``, as ``archive.models.SeriesDocument`` has them."""

    version: int
    object_key: str
    object_size: int
    root: str
    etag: str


@dataclass(frozen=True, slots=True)
class LocatedSeries:
    """A series as its row describes it, with what stands for it."""

    pk: int
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    version: int
    number_of_series_related_instances: int
    thumbnail_instance: int | None
    thumbnail_rank: int
    document: LocatedDocument | None


def patient_ids(found: Sequence[Located | LocatedSeries]) -> list[str]:
    """The Patient IDs of what was found, each once; a study has one, or none."""
    return list(dict.fromkeys(each.patient_id for each in found if each.patient_id))
