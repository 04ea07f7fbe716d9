"""Searching 2,000 small studies and one large series, with what the answers have to be known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.bench import answers
from benchmarks.bench.fleet import Ask, run
from benchmarks.bench.packs import Instance
from benchmarks.bench.phases import JSON, Bench, Figures, middle, rate, taken
from benchmarks.bench.studies import SURNAMES
from benchmarks.bench.targets import Target

OHIF: Final = "limit=101&offset=0&fuzzymatching=false&includefield=00081030,00080060"
LISTED: Final = 101


def study_list(bench: Bench, target: Target, repetition: int) -> Figures:
    """OHIF's list of studies: one client's latency, then what eight get."""
    ask = Ask(f"studies?{OHIF}", JSON, answers.listed(LISTED, answers.OHIF_TAGS))
    one = run(target, [[ask] * bench.some(30)])
    eight = run(target, [[ask]] * 8, seconds=bench.seconds)
    return {"qido_list_c1": middle(one), "qido_list_c8": rate(eight)}


def names(bench: Bench, target: Target, repetition: int) -> Figures:
    """Everybody of a surname."""
    asks = []
    for number in taken(bench.some(20), len(SURNAMES), repetition * 20):
        wanted = {one.study for one in _small(bench) if one.tags["PatientName"].startswith(SURNAMES[number])}
        asks.append(Ask(f"studies?PatientName={SURNAMES[number]}*&limit=200", JSON, answers.found_studies(wanted)))
    return {"qido_name_c1": middle(run(target, [asks]))}


def dates(bench: Bench, target: Target, repetition: int) -> Figures:
    """A month."""
    asks = []
    months = sorted({one.tags["StudyDate"][:6] for one in _small(bench)})
    for number in taken(bench.some(20), len(months), repetition * 20):
        month = months[number]
        wanted = [one.study for one in _small(bench) if one.tags["StudyDate"].startswith(month)]
        path = f"studies?StudyDate={month}01-{month}31&limit=200"
        asks.append(Ask(path, JSON, answers.found_studies(set(wanted))))
    return {"qido_dates_c1": middle(run(target, [asks]))}


def patients(bench: Bench, target: Target, repetition: int) -> Figures:
    """One patient by number."""
    asks = []
    for number in taken(bench.some(40), len(_small(bench)), repetition * 40):
        one = _small(bench)[number]
        asks.append(Ask(f"studies?PatientID={one.tags['PatientID']}", JSON, answers.found_studies({one.study})))
    return {"qido_patient_c1": middle(run(target, [asks]))}


def instances(bench: Bench, target: Target, repetition: int) -> Figures:
    """Every instance of the CT's series."""
    series = bench.studies.ct.instances
    path = f"studies/{series[0].study}/series/{series[0].series}/instances?limit=1000"
    ask = Ask(path, JSON, answers.listed(len(series), answers.INSTANCE_TAGS))
    return {"qido_instances_c1": middle(run(target, [[ask] * bench.some(15)]))}


def _small(bench: Bench) -> Sequence[Instance]:
    """The first instance of each small study."""
    return bench.studies.small.instances[::3]
