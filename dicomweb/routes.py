"""From a path to its resource: the table of ``dicomweb.urls`` as a tree of segments, each looked up and not tried."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from django.urls import ResolverMatch, URLPattern
from django.urls.converters import get_converters

PREFIX: Final = "dicom-web/"
# Takes all that is left of a path, slashes too.
_REST: Final = "path"


@dataclass(slots=True)
class _Node:
    """What may follow a part of a path: segments as they are written, then those that a converter reads."""

    written: dict[str, "_Node"] = field(default_factory=dict)
    read: list["_Parameter"] = field(default_factory=list)
    entry: URLPattern | None = None


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    kind: str
    takes: Any
    node: _Node


class Routes:
    """The resources of ``patterns``, whose routes have a converter for a whole segment or none.

    Of two that fit, the one with more segments as they are written counts.
    """

    def __init__(self, patterns: Iterable[URLPattern]) -> None:
        self._root = _Node()
        for entry in patterns:
            self._add(entry)

    def find(self, path: str) -> ResolverMatch | None:
        """The resource at ``path`` below the service's root; None if there is none."""
        found: dict[str, str] = {}
        entry = _walk(self._root, path.split("/"), 0, found)
        if entry is None:
            return None
        return ResolverMatch(entry.callback, (), found, entry.name, route=f"{PREFIX}{entry.pattern}")

    def _add(self, entry: URLPattern) -> None:
        node = self._root
        for segment in str(entry.pattern).split("/"):
            node = (
                _parameter(node, segment).node if segment.startswith("<") else node.written.setdefault(segment, _Node())
            )
        node.entry = entry


def _parameter(node: _Node, segment: str) -> _Parameter:
    kind, _, name = segment.strip("<>").partition(":")
    for known in node.read:
        if (known.name, known.kind) == (name, kind):
            return known
    takes = re.compile(get_converters()[kind].regex).fullmatch
    made = _Parameter(name, kind, takes, _Node())
    node.read.append(made)
    return made


def _walk(node: _Node, segments: list[str], at: int, found: dict[str, str]) -> URLPattern | None:
    if at == len(segments):
        return node.entry
    segment = segments[at]
    written = node.written.get(segment)
    if written is not None and (entry := _walk(written, segments, at + 1, found)) is not None:
        return entry
    for parameter in node.read:
        rest = parameter.kind == _REST
        value = "/".join(segments[at:]) if rest else segment
        if not parameter.takes(value):
            continue
        entry = _walk(parameter.node, segments, len(segments) if rest else at + 1, found)
        if entry is not None:
            found[parameter.name] = value
            return entry
    return None
