"""Pictures of what is no image: reports, documents, waveforms, segments, contours (PS3.18 10.4.1.1.3).

ONE table: SOP Class -> how it is drawn. What is in it has pictures numbered from 1, as an image has frames: the pages
of a report or document, strips of a waveform, the frames of a segmentation, the slices of a structure set.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy
from django.conf import settings
from numpy.typing import NDArray
from pydicom._uid_dict import UID_dictionary

from archive.codec_processes import away
from archive.documents import Document, part, pdf_of, read_document, whole
from archive.errors import NotFound, NotRenderable
from archive.frames import Frames, frames_of
from archive.locate import Located
from dicom.json_items import items, text
from dicom.pdf_picture import draw_pdf_page
from dicom.report import moment
from dicom.report_picture import draw_report_page
from dicom.segmentation import Segmentation, label_map, lay_over, own_colour, read_segmentation
from dicom.structure_set_picture import draw_structure_set
from dicom.waveform_picture import draw_strip
from dicom.waveforms import Strip, strips_of

Picture = NDArray[numpy.uint8]
Viewport = tuple[int, int] | None

_STORAGE = "1.2.840.10008.5.1.4.1.1."
ENCAPSULATED_PDF = f"{_STORAGE}104.1"
# Samples of all segments in one picture: 64 of 2048 x 2048, two of the largest frames
_MOST_LAID_OVER = 1 << 28


class Drawing(Protocol):
    """One instance, ready to be drawn."""

    def draw(self, number: int | None, viewport: Viewport) -> Picture:
        """Picture ``number``, by default the one that stands for it, as (rows, columns, 3) RGB.

        ``viewport`` says how large it will be shown. Raises ``NotFound``, ``NotRenderable``, ``DicomError``.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Pages:
    """What is drawn from its header alone, in a codec process; ``default`` is the number of what stands for it."""

    function: Callable[..., tuple[int, Picture]]
    document: Document
    default: int

    def draw(self, number: int | None, viewport: Viewport) -> Picture:
        """See ``Drawing``."""
        asked = self.default if number is None else number
        return _there(asked, *away(self.function, self.document.text, asked, _more_font()))


@dataclass(frozen=True, slots=True)
class _Pdf:
    """The pages of an encapsulated PDF."""

    data: bytes

    def draw(self, number: int | None, viewport: Viewport) -> Picture:
        """See ``Drawing``."""
        asked = 1 if number is None else number
        return _there(asked, *away(draw_pdf_page, self.data, asked, viewport))


@dataclass(frozen=True, slots=True)
class _Waveforms:
    """Strips of ten seconds of all multiplex groups, on millimetre paper if that is usual for them."""

    document: Document
    strips: Sequence[Strip]
    on_millimetres: bool

    def draw(self, number: int | None, viewport: Viewport) -> Picture:
        """See ``Drawing``."""
        asked = 1 if number is None else number
        if not 1 <= asked <= len(self.strips):
            raise NotFound(f"the instance has {len(self.strips)} pictures, there is no picture {asked}")
        strip, item = self.strips[asked - 1], self.document.item
        group = items(item, "54000100")[strip.group.index - 1]
        data = part(self.document.value(strip.group.path, group), strip.offset, strip.length)
        known = UID_dictionary.get(self.document.instance.sop_class_uid, ("Waveform",))[0]
        taken = moment(text(item, "0008002A") or text(item, "00080023") + text(item, "00080033"))
        title = "    ".join(each for each in (known.removesuffix(" Waveform Storage"), taken) if each)
        return away(draw_strip, strip, data, self.on_millimetres, title, _more_font())


@dataclass(frozen=True, slots=True)
class _Segments:
    """Segments in their colours on black; the instance is one plane with all segments that lie in it."""

    frames: Frames
    described: Segmentation

    def draw(self, number: int | None, viewport: Viewport) -> Picture:
        """See ``Drawing``."""
        if number is not None and not 1 <= number <= self.frames.count:
            raise NotFound(f"the instance has {self.frames.count} frames, there is no frame {number}")
        shown = [number] if number is not None else self.described.representative()
        if self.described.kind == "LABELMAP":
            return label_map(self.frames.decode(shown[0]).array, self.described.colours)
        rows, columns = self.frames.pixels.rows, self.frames.pixels.columns
        picture = numpy.zeros((rows, columns, 3), numpy.uint8)
        for each in shown[: max(1, _MOST_LAID_OVER // (rows * columns))]:
            segment = self.described.segments[each - 1]
            colour = self.described.colours.get(segment) or own_colour(segment)
            lay_over(picture, self.frames.decode(each).array, colour, self.described.full)
        return picture


def _report(instance: Located, hidden: frozenset[str]) -> Drawing:
    return _Pages(draw_report_page, read_document(instance, hidden), 1)


def _structure_set(instance: Located, hidden: frozenset[str]) -> Drawing:
    return _Pages(draw_structure_set, read_document(instance, hidden), 0)


def _pdf(instance: Located, hidden: frozenset[str]) -> Drawing:
    return _Pdf(whole(pdf_of(read_document(instance, hidden))))


def _ecg(instance: Located, hidden: frozenset[str]) -> Drawing:
    document = read_document(instance, hidden)
    return _Waveforms(document, strips_of(document.item), on_millimetres=True)


def _waveform(instance: Located, hidden: frozenset[str]) -> Drawing:
    document = read_document(instance, hidden)
    return _Waveforms(document, strips_of(document.item), on_millimetres=False)


def _segmentation(instance: Located, hidden: frozenset[str]) -> Drawing:
    try:
        frames = frames_of(instance)
    except NotFound as error:
        raise NotRenderable("the segmentation has no frames to draw") from error
    return _Segments(frames, read_segmentation(read_document(instance).item, frames.count))


# SOP Classes by the end of their UID. All of 88 are structured reports.
_REPORTS = (
    *(uid.removeprefix(_STORAGE) for uid in UID_dictionary if uid.startswith(f"{_STORAGE}88.")),
    "78.6",  # spectacle prescription
    "79.1",  # macular grid thickness and volume
)
_ECG = ("9.1.1", "9.1.2", "9.1.3", "9.1.4")
_WAVEFORMS = (
    *("9.2.1", "9.3.1", "9.4.1", "9.4.2"),  # hemodynamic, electrophysiology, voice, sound
    *("9.5.1", "9.6.1", "9.6.2"),  # pulse, breathing
    *("9.7.1", "9.7.2", "9.7.3", "9.7.4", "9.8.1"),  # EEG, EMG, EOG, EEG in sleep, position of the body
)
DRAWERS: Mapping[str, Callable[[Located, frozenset[str]], Drawing]] = MappingProxyType(
    {
        f"{_STORAGE}{last}": drawer
        for lasts, drawer in (
            (_REPORTS, _report),
            (("104.1",), _pdf),
            (_ECG, _ecg),
            (_WAVEFORMS, _waveform),
            (("66.4", "66.7"), _segmentation),
            (("481.3",), _structure_set),
        )
        for last in lasts
    }
)
REPORTS = frozenset(uid for uid, drawer in DRAWERS.items() if drawer is _report)
# Why there is no picture, where "no pixel data" would say too little.
_REASONS: Mapping[str, str] = MappingProxyType(
    {
        f"{_STORAGE}11.": "a presentation state has no picture of its own: it says how its images are shown",
        f"{_STORAGE}104.": "of encapsulated documents only PDF has pictures; this one can be had as bulk data",
        f"{_STORAGE}481.": "plans and records of radiotherapy have no picture",
        f"{_STORAGE}66": "registrations, surfaces, fiducials and raw data have no picture",
        f"{_STORAGE}67": "a real world value mapping has no picture",
    }
)


def is_text(instance: Located) -> bool:
    """Whether its pictures are pages to be read, on which a patient's name may stand."""
    return instance.sop_class_uid in REPORTS or instance.sop_class_uid == ENCAPSULATED_PDF


def is_drawn(instance: Located) -> bool:
    """Whether it is in the table: no image, and yet it may have pictures."""
    return instance.sop_class_uid in DRAWERS


def drawing_of(instance: Located, hidden: frozenset[str] = frozenset()) -> Drawing:
    """How an instance that ``is_drawn`` is drawn, without the attributes ``hidden``. Raises ``NotRenderable``."""
    return DRAWERS[instance.sop_class_uid](instance, hidden)


def reason_for_none(instance: Located) -> str:
    """Why an instance without frames has no picture, in one sentence."""
    uid = instance.sop_class_uid
    known = (reason for start, reason in _REASONS.items() if uid.startswith(start))
    return next(known, "the instance has no pixel data to draw")


def _there(asked: int, count: int, picture: Any) -> Picture:
    if not picture.size:
        raise NotFound(f"the instance has {count} pictures, there is no picture {asked}")
    found: Picture = picture
    return found


def _more_font() -> str:
    path = settings.PACS.picture_font
    return str(path) if path else ""
