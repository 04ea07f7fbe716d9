"""The body of a request as a stream that is whole or fails: what breaks off is never taken for its end."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from dicomweb.errors import BodyAborted


def body_reader(request: HttpRequest) -> Callable[[int], bytes]:
    """How to read the body: at most n bytes at a time, b"" at its end. Reading raises ``BodyAborted``.

    Django reads nothing without Content-Length, so chunked bodies are read from below it; and it takes a connection
    that was closed early for the end of the body, so the bytes are counted.
    """
    length = request.META.get("CONTENT_LENGTH") or None
    chunked = length is None and request.META.get("wsgi.input_terminated")
    source: Any = request.META["wsgi.input"] if chunked else request
    missing = int(length) if length else 0
    _hang_up_on_silence(request)

    def read(size: int) -> bytes:
        nonlocal missing
        try:
            data: bytes = source.read(size)
        except Exception as error:  # the server's own classes, for a bad chunk as for a lost connection
            raise BodyAborted("the body could not be read to its end") from error
        missing -= len(data)
        if not data and missing > 0:
            raise BodyAborted(f"the body ended {missing} bytes before its Content-Length")
        return data

    return read


def _hang_up_on_silence(request: HttpRequest) -> None:
    connection = request.META.get("gunicorn.socket")
    if connection is not None:
        # A client that is silent for longer is taken for dead: it occupies a thread.
        limits = settings.PACS.limits
        connection.settimeout(limits.silence_seconds)
