"""Sample studies that look like anatomy and show no one: computed here, the same bytes on every machine and run.

`studies()` lists them; each yields its instances as Part 10 objects, one at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from dataclasses import replace as _replace

from . import chest_radiograph, ct_head, ct_torso, echocardiogram, mr_head
from .objects import Visit
from .people import CHEST_RADIOGRAPH, CT_HEAD, CT_TORSO, ECHOCARDIOGRAM, MR_HEAD

__all__ = ["SampleStudy", "studies"]


@dataclass(frozen=True, slots=True)
class SampleStudy:
    """One study; `generate` makes its instances anew each time it is called."""

    name: str
    description: str
    study_instance_uid: str
    instance_count: int
    generate: Callable[[], Iterator[bytes]]


def studies(small: bool = False) -> tuple[SampleStudy, ...]:
    """All sample studies; `small` gives thinner ones, under UIDs of their own, for tests.

    The first is the one to show first. Whole: about 196 MB; small: about 10 MB.
    """
    torso = ct_torso.SMALL if small else ct_torso.FULL
    frames = mr_head.SMALL if small else mr_head.FULL
    beats = echocardiogram.SMALL if small else echocardiogram.FULL
    film = chest_radiograph.SMALL if small else chest_radiograph.FULL
    head = ct_head.SMALL if small else ct_head.FULL

    def study(visit: Visit, text: str, count: int, make: Callable[[Visit], Iterator[bytes]]) -> SampleStudy:
        own = _replace(visit, key=f"small/{visit.key}") if small else visit
        return SampleStudy(visit.key, text, own.uid(), count, lambda: make(own))

    return (
        study(
            CT_TORSO,
            f"CT of the chest and abdomen: {torso.slices} axial slices, two scout views, a PDF report",
            ct_torso.instance_count(torso),
            lambda visit: ct_torso.generate(visit, torso),
        ),
        study(
            MR_HEAD,
            f"MR of the brain: one enhanced multi-frame instance of {frames} frames",
            1,
            lambda visit: mr_head.generate(visit, frames),
        ),
        study(
            ECHOCARDIOGRAM,
            f"Ultrasound of the heart in colour: one multi-frame instance of {beats} JPEG frames",
            1,
            lambda visit: echocardiogram.generate(visit, beats),
        ),
        study(
            CHEST_RADIOGRAPH,
            f"Radiograph of the chest, {film[1]} x {film[0]}, with a structured report",
            chest_radiograph.instance_count(),
            lambda visit: chest_radiograph.generate(visit, film),
        ),
        study(
            CT_HEAD,
            f"CT of the head: {head.slices} slices in lossless JPEG 2000",
            head.slices,
            lambda visit: ct_head.generate(visit, head),
        ),
    )
