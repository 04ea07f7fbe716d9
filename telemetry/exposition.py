"""What a scrape shows: the counts of all processes added up, and gauges that the caller has asked for."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from telemetry.metrics import GAUGES, REGISTRY
from telemetry.shared_values import folder

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# Name of a gauge -> values of its labels -> figure.
Figures = dict[str, dict[tuple[str, ...], float]]


class _All(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def exposition(figures: Figures) -> bytes:
    """The text of a scrape (Prometheus text format 0.0.4)."""
    return generate_latest(_All([*counted(), *_gauges(figures)]))


def counted() -> list[Metric]:
    """The counters and histograms of all processes; those without labels that nobody has counted yet are 0, so that
    their first count is seen as a rise."""
    kept = folder()
    found = {metric.name: metric for metric in (_shared(kept) if kept else REGISTRY.collect())}
    for metric in REGISTRY.collect():
        found.setdefault(metric.name, metric)
    return [found[name] for name in sorted(found)]


def _shared(kept: Path) -> Iterable[Metric]:
    files = sorted(str(path) for path in kept.glob("*.db"))
    try:
        return list(MultiProcessCollector.merge(files))
    except (OSError, ValueError, RuntimeError, struct.error):
        # A machine that crashed may have left one that is cut off: its process makes it anew, the others count.
        return list(MultiProcessCollector.merge([name for name in files if _is_whole(name)]))


def _is_whole(name: str) -> bool:
    try:
        list(MultiProcessCollector.merge([name]))
    except (OSError, ValueError, RuntimeError, struct.error):
        return False
    return True


def _gauges(figures: Figures) -> Iterator[Metric]:
    for name, found in figures.items():
        gauge = GAUGES[name]
        # What the database counts for us is a counter as well.
        kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
        family = kind(name, gauge.help, labels=gauge.labels)
        for labels, figure in found.items():
            family.add_metric(labels, figure)
        yield family
