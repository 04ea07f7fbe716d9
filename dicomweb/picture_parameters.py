"""How a picture is to be drawn, read from a query string (PS3.18 8.3.5) into typed values."""

import re

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from archive.pictures import Rendering
from dicom.region import Region
from dicom.rendering import Window
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
]


def rendering_of(request: Request, media_type: str) -> Rendering:
    """How the client wants its pictures drawn. Raises ``BadRequest``."""
    asked = request._request.GET
    return Rendering(
        media_type=media_type,
        window=window(asked.get("window", "")),
        viewport=viewport(asked.get("viewport", "")),
        region=region(asked.get("viewport", "")),
        quality=quality(asked.get("quality", "")),
    )


def warnings_of(request: Request) -> dict[str, str]:
    """The header fields that say what is asked for and not drawn (PS3.18 8.3.5.1.1). Raises ``BadRequest``."""
    if "annotation" not in request._request.GET:
        return {}
    values = unsupported_annotations(request._request.GET["annotation"])
    return {"Warning": f'299 Lightbox: "The following annotation values are not supported: {values}"'}


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


def unsupported_annotations(text: str) -> str:
    """The keywords of ``annotation``, none of which is drawn (PS3.18 8.3.5.1.1). Raises ``BadRequest``."""
    keywords = text.split(",")
    if not all(_KEYWORD.fullmatch(keyword) for keyword in keywords):
        raise BadRequest("annotation: expected keywords, such as patient or technique, separated by commas")
    return ", ".join(keywords)


def quality(text: str) -> int:
    """``quality`` of a lossy picture, 1 to 100 (PS3.18 8.3.5.1.2). Raises ``BadRequest``."""
    if not text:
        return 90
    if not _within(text, 100):
        raise BadRequest("quality: expected a whole number from 1 to 100")
    return int(text)


def _within(text: str, most: int) -> bool:
    return _WHOLE.fullmatch(text) is not None and 1 <= int(text) <= most
