"""The test's end of `pages/bridge.js`: calls a client in its page, with bytes both ways."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page


@dataclass(frozen=True, slots=True)
class Bytes:
    """What a client handed over, and what it made of the headers of the part."""

    data: bytes
    content_type: str | None
    transfer_syntax_uid: str | None


@dataclass
class Refused(Exception):
    """An answer that the client took for an error, as far as the browser let its page see it."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Foreign:
    """A page with a client in it."""

    page: Page

    def __call__(self, function: str, argument: Any = None) -> Any:
        """What the page's function gives. Raises Refused for an HTTP error, AssertionError for any other."""
        answer = self.page.evaluate("([name, argument]) => call(name, argument)", [function, _outward(argument)])
        if "refused" in answer:
            raise Refused(**answer["refused"])
        assert "failed" not in answer, answer["failed"]
        return _inward(answer["value"])

    def request(self, method: str, **options: Any) -> Any:
        """A method of dicomweb-client with its options."""
        return self("request", {"method": method, "options": options})


def _outward(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: _outward(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_outward(each) for each in value]
    return value


def _inward(value: Any) -> Any:
    if isinstance(value, dict):
        if "$bytes" in value:
            return Bytes(base64.b64decode(value["$bytes"]), value["contentType"], value["transferSyntaxUID"])
        return {name: _inward(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_inward(each) for each in value]
    return value
