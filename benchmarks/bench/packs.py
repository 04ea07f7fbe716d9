"""Generated objects in one file a kind, with what is needed to ask for them and to judge the answers."""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

_RENAMED: Final = ("PatientID", "PatientName", "StudyDate")


@dataclass(frozen=True, slots=True)
class Instance:
    """One object: where it lies in its pack, what it is called, where its native frames begin, what is searched.

    ``pixels`` counts from the object's first byte; frame N (from 1) has ``frame_size`` bytes.
    """

    at: int
    size: int
    study: str
    series: str
    uid: str
    sop_class: str
    pixels: int
    frame_size: int
    frames: int
    rows: int
    columns: int
    tags: Mapping[str, str]

    @property
    def path(self) -> str:
        """Its resource, below the base URL."""
        return f"studies/{self.study}/series/{self.series}/instances/{self.uid}"


class Pack:
    """The objects of one kind; a file of their bytes beside a file of what is known of each."""

    def __init__(self, file: Path) -> None:
        self.instances = tuple(Instance(**each) for each in json.loads(file.with_suffix(".json").read_text()))
        self._file = file
        with file.open("rb") as opened:
            self._bytes = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self.instances)

    def data(self, instance: Instance) -> bytes:
        """The whole object."""
        return self._bytes[instance.at : instance.at + instance.size]

    def frame(self, instance: Instance, number: int) -> bytes:
        """The native frame ``number``, from 1."""
        first = instance.at + instance.pixels + (number - 1) * instance.frame_size
        return self._bytes[first : first + instance.frame_size]

    @property
    def size(self) -> int:
        """Bytes of all objects."""
        return sum(instance.size for instance in self.instances)


@dataclass(frozen=True, slots=True)
class Copied:
    """An object under UIDs that nobody has used before; the bytes are made when they are asked for."""

    pack: Pack
    original: Instance
    instance: Instance

    def data(self) -> bytes:
        """The whole object with its new UIDs and its new patient, which are as long as the old ones."""
        data = self.pack.data(self.original)
        head = data[: self.original.pixels]
        old, new = self.original, self.instance
        replaced = [(old.uid, new.uid), (old.series, new.series), (old.study, new.study)]
        replaced += [(old.tags[keyword], new.tags[keyword]) for keyword in _RENAMED]
        for before, after in replaced:
            head = head.replace(before.encode(), after.encode())
        return head + data[self.original.pixels :]


def copies(pack: Pack, instances: Sequence[Instance], salt: str) -> list[Copied]:
    """Each under UIDs that follow from ``salt``, of other patients on another day, so that searches for the originals
    find them alone; what belonged together still does."""

    def renamed(uid: str) -> str:
        digits = str(int.from_bytes(hashlib.sha256(f"{salt}/{uid}".encode()).digest()))
        # Under 2.25, with a first digit that keeps the number within 128 bits (PS3.5 B.2).
        return "2.25." + ("1" + digits)[: len(uid) - 5]

    def copied(one: Instance) -> Instance:
        study = renamed(one.study)
        patient, name = one.tags["PatientID"], one.tags["PatientName"]
        tags = {"PatientID": ("C" + study[6:])[: len(patient)], "PatientName": ("Copied^" * 9)[: len(name)]}
        tags["StudyDate"] = "19990101"
        return replace(one, study=study, series=renamed(one.series), uid=renamed(one.uid), tags={**one.tags, **tags})

    return [Copied(pack, one, copied(one)) for one in instances]


def write_pack(file: Path, objects: Iterable[tuple[bytes, dict[str, Any]]]) -> None:
    """``objects`` are bytes and the fields of ``Instance`` but ``at`` and ``size``. Whole or not at all."""
    half = file.with_suffix(".new")
    listed = []
    at = 0
    with half.open("wb") as out:
        for data, known in objects:
            out.write(data)
            listed.append(asdict(Instance(at=at, size=len(data), **known)))
            at += len(data)
    file.with_suffix(".json").write_text(json.dumps(listed))
    half.replace(file)


def batches(objects: Sequence[Copied], size: int) -> Iterator[list[Copied]]:
    """In their order."""
    for first in range(0, len(objects), size):
        yield list(objects[first : first + size])
