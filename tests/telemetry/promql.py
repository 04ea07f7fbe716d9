"""A little of PromQL, enough for our own rules: it parses them, and says what they find in made-up figures.

Selectors with ``=``, ``!=``, ``=~``, ranges; rate, increase, predict_linear, histogram_quantile, absent, time; sum, min
and max, with ``by``; arithmetic and comparisons between a vector and a number, or vectors with equal labels.
"""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]
Vector = dict[Labels, float]
Points = Sequence[tuple[float, float]]  # seconds before now (negative or 0), value; the oldest first
Figures = Mapping[str, Sequence[tuple[Mapping[str, str], Points]]]
NOW = 1_800_000_000.0

_TOKEN = re.compile(r'\s*(?:(\d+(?:\.\d+)?)|([a-zA-Z_:][\w:]*)|("[^"]*")|(=~|!=|[<>]=?|[-+*/(){}\[\],=]))')
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "=~": lambda value, wanted: re.fullmatch(wanted, value) is not None,
}
_COMPARE: dict[str, Callable[[float, float], bool]] = {"<": operator.lt, ">": operator.gt}
_CALCULATE: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a / b if b else float("nan"),
}
_AGGREGATES: dict[str, Callable[[Iterable[float]], float]] = {"sum": sum, "min": min, "max": max}


@dataclass
class _Range:
    """The points of each series within the last seconds."""

    series: dict[Labels, Points]


def metrics_in(expression: str) -> set[str]:
    """The names of the metrics that it asks for."""
    return set(re.findall(r"\bpacs_\w+", expression))


def evaluate(expression: str, figures: Figures) -> Vector:
    """What it finds. Raises SyntaxError for what isn't in the subset."""
    parser = _Parser(expression, figures)
    found = parser.comparison()
    if parser.tokens:
        raise SyntaxError(f"what comes after is not understood: {parser.tokens[:5]}")
    if not isinstance(found, dict):
        raise SyntaxError("a number, or points, is no alert")
    return found


class _Parser:
    def __init__(self, expression: str, figures: Figures) -> None:
        self.figures = figures
        self.tokens: list[str] = []
        at = 0
        while at < len(expression.rstrip()):
            matched = _TOKEN.match(expression, at)
            if matched is None:
                raise SyntaxError(f"not understood: {expression[at:]!r}")
            self.tokens.append(matched[0].strip())
            at = matched.end()

    def take(self, *wanted: str) -> str:
        if not self.tokens or (wanted and self.tokens[0] not in wanted):
            raise SyntaxError(f"expected {wanted}, found {self.tokens[:3]}")
        return self.tokens.pop(0)

    def sees(self, *wanted: str) -> bool:
        return bool(self.tokens) and self.tokens[0] in wanted

    def comparison(self) -> object:
        found = self.sum()
        if self.sees(*_COMPARE):
            sign = self.take()
            other = self.sum()
            return _joined(found, other, lambda a, b: a if _COMPARE[sign](a, b) else None)
        return found

    def sum(self) -> object:
        found = self.product()
        while self.sees("+", "-"):
            sign = self.take()
            found = _joined(found, self.product(), _CALCULATE[sign])
        return found

    def product(self) -> object:
        found = self.one()
        while self.sees("*", "/"):
            sign = self.take()
            found = _joined(found, self.one(), _CALCULATE[sign])
        return found

    def one(self) -> object:
        token = self.take()
        if token == "(":
            found = self.comparison()
            self.take(")")
            return found
        if re.fullmatch(r"\d+(\.\d+)?", token):
            return float(token)
        if token in _AGGREGATES:
            return self.aggregate(token)
        if self.sees("("):
            return self.function(token)
        return self.selector(token)

    def aggregate(self, name: str) -> Vector:
        by: list[str] = []
        if self.sees("by"):
            self.take()
            by = self.names()
        self.take("(")
        inner = self.comparison()
        self.take(")")
        if self.sees("by"):
            self.take()
            by = self.names()
        assert isinstance(inner, dict), "an aggregate wants a vector"
        groups: dict[Labels, list[float]] = {}
        for labels, value in inner.items():
            groups.setdefault(tuple((k, v) for k, v in labels if k in by), []).append(value)
        return {labels: _AGGREGATES[name](values) for labels, values in groups.items()}

    def names(self) -> list[str]:
        self.take("(")
        found = []
        while not self.sees(")"):
            found.append(self.take())
            if self.sees(","):
                self.take()
        self.take(")")
        return found

    def function(self, name: str) -> object:
        self.take("(")
        arguments = []
        while not self.sees(")"):
            arguments.append(self.comparison())
            if self.sees(","):
                self.take()
        self.take(")")
        return _FUNCTIONS[name](*arguments)

    def selector(self, name: str) -> object:
        wanted: list[tuple[str, str, str]] = []
        if self.sees("{"):
            self.take()
            while not self.sees("}"):
                wanted.append((self.take(), self.take(*_MATCHES), self.take().strip('"')))
                if self.sees(","):
                    self.take()
            self.take("}")
        found = {
            tuple(sorted(labels.items())): points
            for labels, points in self.figures.get(name, ())
            if all(_MATCHES[sign](labels.get(label, ""), value) for label, sign, value in wanted)
        }
        if not self.sees("["):
            return {labels: points[-1][1] for labels, points in found.items()}
        self.take()
        length, unit = self.take(), self.take()
        self.take("]")
        since = -float(length) * _UNITS[unit]
        return _Range({k: [p for p in points if p[0] >= since] for k, points in found.items()})


def _joined(left: object, right: object, how: Callable[[float, float], float | None]) -> object:
    if isinstance(left, float) and isinstance(right, float):
        return how(left, right)
    if isinstance(left, float):
        assert isinstance(right, dict)
        left = dict.fromkeys(right, left)
    if isinstance(right, float):
        assert isinstance(left, dict)
        right = dict.fromkeys(left, right)
    assert isinstance(left, dict)
    assert isinstance(right, dict)
    found = {labels: how(value, right[labels]) for labels, value in left.items() if labels in right}
    return {labels: value for labels, value in found.items() if value is not None}


def _increase(points: _Range) -> Vector:
    """Counters that begin anew count from nought."""
    found = {}
    for labels, series in points.series.items():
        if len(series) > 1:
            steps = itertools.pairwise(series)
            found[labels] = sum(b - a if b >= a else b for (_, a), (_, b) in steps)
    return found


def _rate(points: _Range) -> Vector:
    spans = {k: s[-1][0] - s[0][0] for k, s in points.series.items() if len(s) > 1}
    return {labels: value / spans[labels] for labels, value in _increase(points).items()}


def _predict(points: _Range, seconds: float) -> Vector:
    found = {}
    for labels, series in points.series.items():
        count = len(series)
        if count < 2:
            continue
        mean_t = sum(t for t, _ in series) / count
        mean_v = sum(v for _, v in series) / count
        slope = sum((t - mean_t) * (v - mean_v) for t, v in series) / sum((t - mean_t) ** 2 for t, _ in series)
        found[labels] = mean_v + slope * (seconds - mean_t)
    return found


def _quantile(q: float, buckets: Vector) -> Vector:
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for labels, value in buckets.items():
        edge = float(dict(labels)["le"].replace("+Inf", "inf"))
        groups.setdefault(tuple(each for each in labels if each[0] != "le"), []).append((edge, value))
    found = {}
    for labels, counts in groups.items():
        counts.sort()
        if counts[-1][1]:
            found[labels] = next(edge for edge, count in counts if count >= q * counts[-1][1])
    return found


_FUNCTIONS: dict[str, Callable[..., object]] = {
    "rate": _rate,
    "increase": _increase,
    "predict_linear": _predict,
    "histogram_quantile": _quantile,
    "absent": lambda vector: {} if vector else {(): 1.0},
    "time": lambda: NOW,
}
