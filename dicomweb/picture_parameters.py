"""How a picture is to be drawn, read from a query string (PS3.18 8.3.5) into typed values."""

import re

from dicom.rendering import Window
from dicomweb.errors import BadRequest

_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_NUMBER = re.compile(r"[+-]?([0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9})")
_WHOLE = re.compile(r"[0-9]{1,4}")
_LARGEST_VIEWPORT = 8192


def window(text: str) -> Window | None:
    """``center,width[,function]`` (PS3.18 8.3.5.1.3). Raises ``BadRequest``."""
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
    """``width,height`` in pixels (PS3.18 8.3.5.1.4). Raises ``BadRequest``."""
    if not text:
        return None
    parts = text.split(",")
    if len(parts) < 2 or not all(_within(part, _LARGEST_VIEWPORT) for part in parts[:2]):
        raise BadRequest(f"viewport: expected width,height from 1 to {_LARGEST_VIEWPORT}")
    if any(parts[2:]):
        raise BadRequest("viewport: source regions are not supported")
    return int(parts[0]), int(parts[1])


def quality(text: str) -> int:
    """``quality`` of a lossy picture, 1 to 100 (PS3.18 8.3.5.1.2). Raises ``BadRequest``."""
    if not text:
        return 90
    if not _within(text, 100):
        raise BadRequest("quality: expected a whole number from 1 to 100")
    return int(text)


def _within(text: str, most: int) -> bool:
    return _WHOLE.fullmatch(text) is not None and 1 <= int(text) <= most
