"""How a picture is to be drawn, read from a query string (PS3.18 8.3.5) into typed values."""

import re
from collections.abc import Sequence

from django.http import HttpRequest
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from access.authentication import principal_of
from access.policy import visible_studies, withheld
from access.roles import Permission
from archive.pictures import Rendering
from archive.presentation import PresentationReference
from dicom.annotation import IDENTITY, KEYWORDS
from dicom.icc import CHOICES
from dicom.region import Region
from dicom.rendering import Window
from dicom.uids import is_uid
from dicomweb.attribute_filter import LEFT_OUT
from dicomweb.errors import BadRequest

_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_NUMBER = re.compile(r"[+-]?([0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9})")
_KEYWORD = re.compile(r"[a-z][a-z-]{0,31}")
_WHOLE = re.compile(r"[0-9]{1,4}")
_LARGEST_VIEWPORT = 8192
PARAMETERS = [
    OpenApiParameter("window", OpenApiTypes.STR, description="center,width,function"),
    OpenApiParameter("viewport", OpenApiTypes.STR, description="width,height, then x,y,width,height of the region"),
    OpenApiParameter("quality", OpenApiTypes.INT, description="1 to 100"),
    OpenApiParameter("annotation", OpenApiTypes.STR, description="patient,technique: written over the picture"),
    OpenApiParameter("iccprofile", OpenApiTypes.STR, enum=CHOICES, description="which colour profile is embedded"),
    OpenApiParameter("presentationSeriesUID", OpenApiTypes.STR, description="series of the presentation state"),
    OpenApiParameter("presentationUID", OpenApiTypes.STR, description="presentation state that the image is shown by"),
]


def rendering_of(request: HttpRequest, media_type: str) -> Rendering:
    """How the client wants its pictures drawn. Raises ``BadRequest``."""
    asked = request.GET
    return Rendering(
        media_type=media_type,
        window=window(asked.get("window", "")),
        viewport=viewport(asked.get("viewport", "")),
        region=region(asked.get("viewport", "")),
        quality=quality(asked.get("quality", "")),
        presentation=presentation(request, ("window",)),
        annotation=annotation(asked.get("annotation"))[0],
        withheld=withheld(principal_of(request), Permission.RETRIEVE),
        icc_profile=icc_profile(asked.get("iccprofile", "")),
    )


def warnings_of(request: HttpRequest) -> dict[str, str]:
    """The header fields that say what is asked for and not drawn (PS3.18 8.3.5.1.1). Raises ``BadRequest``."""
    known, unknown = annotation(request.GET.get("annotation"))
    told = []
    if unknown:
        told.append(f"The following annotation values are not supported: {', '.join(unknown)}")
    if "patient" in known and not IDENTITY.isdisjoint(withheld(principal_of(request), Permission.RETRIEVE)):
        told.append(LEFT_OUT)
    return {"Warning": ", ".join(f'299 Lightbox: "{text}"' for text in told)} if told else {}


def presentation(request: HttpRequest, excluded: Sequence[str]) -> PresentationReference | None:
    """``presentationUID`` and ``presentationSeriesUID``, which go together; the state has to be within reach.

    Raises ``BadRequest``, also where one of ``excluded`` is asked for beside them (PS3.18 9.5.1.2.7).
    """
    asked = request.GET
    uids = [asked.get(name, "") for name in ("presentationSeriesUID", "presentationUID")]
    if not any(uids):
        return None
    if not all(is_uid(uid) for uid in uids):
        raise BadRequest("presentationUID: expected a UID, and that of its series in presentationSeriesUID")
    given = {name for name in excluded if asked.get(name)}
    if region(asked.get("viewport", "")):
        given.add("viewport of a region")
    if given:
        raise BadRequest(f"presentationUID: not to be asked for with a {sorted(given)[0]}")
    return PresentationReference(uids[0], uids[1], visible_studies(principal_of(request), Permission.RETRIEVE))


def icc_profile(text: str) -> str:
    """``iccprofile``: one of ``dicom.icc.CHOICES`` (PS3.18 8.3.5.1.5). Raises ``BadRequest``."""
    if text and text not in CHOICES:
        raise BadRequest(f"iccprofile: expected one of {', '.join(CHOICES)}")
    return text


def annotation(text: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keywords that are drawn, and those that are not (PS3.18 8.3.5.1.1). Raises ``BadRequest``."""
    if text is None:
        return (), ()
    keywords = tuple(dict.fromkeys(text.split(",")))
    if not all(_KEYWORD.fullmatch(keyword) for keyword in keywords):
        raise BadRequest("annotation: expected keywords, such as patient or technique, separated by commas")
    known = tuple(keyword for keyword in keywords if keyword in KEYWORDS)
    return known, tuple(keyword for keyword in keywords if keyword not in KEYWORDS)


def window(text: str) -> Window | None:
    """``center,width[,function]`` (PS3.18 8.3.5.1.4). Raises ``BadRequest``."""
    if not text:
        return None
    center, width, *function = text.split(",") if text.count(",") in (1, 2) else ("", "")
    name = _FUNCTIONS.get(function[0].lower().replace("_", "-") if function else "linear")
    if not _NUMBER.fullmatch(center) or not _NUMBER.fullmatch(width) or name is None:
        raise BadRequest("window: expected center,width,function with function linear, linear-exact or sigmoid")
    if (float(width) < 1 and name == "LINEAR") or float(width) <= 0:
        raise BadRequest("window: the width must be at least 1 (above 0 for linear-exact and sigmoid)")
    return Window(float(center), float(width), name)


def viewport(text: str) -> tuple[int, int] | None:
    """``width,height`` in pixels (PS3.18 8.3.5.1.3). Raises ``BadRequest``."""
    if not text:
        return None
    parts = text.split(",")
    if len(parts) < 2 or not all(_within(part, _LARGEST_VIEWPORT) for part in parts[:2]):
        raise BadRequest(f"viewport: expected width,height from 1 to {_LARGEST_VIEWPORT}")
    return int(parts[0]), int(parts[1])


def region(text: str) -> Region | None:
    """What ``viewport`` says behind its width and height: ``x,y,width,height``, each of which may be left out.

    Raises ``BadRequest`` (PS3.18 8.3.5.1.3).
    """
    parts = text.split(",")[2:]
    if not parts:
        return None
    if len(parts) > 4 or not all(not part or _NUMBER.fullmatch(part) for part in parts):
        raise BadRequest("viewport: expected up to four numbers for the region of the image")
    x, y, width, height = (float(part) if part else None for part in (*parts, *[""] * (4 - len(parts))))
    if 0.0 in (width, height):
        raise BadRequest("viewport: a region has at least some width and height")
    return Region(x or 0.0, y or 0.0, width, height)


def quality(text: str) -> int:
    """``quality`` of a lossy picture, 1 to 100 (PS3.18 8.3.5.1.2). Raises ``BadRequest``."""
    if not text:
        return 90
    if not _within(text, 100):
        raise BadRequest("quality: expected a whole number from 1 to 100")
    return int(text)


def _within(text: str, most: int) -> bool:
    return _WHOLE.fullmatch(text) is not None and 1 <= int(text) <= most
