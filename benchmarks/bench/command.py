"""`./pacs bench`: starts what is to be compared, lets them take turns, prints and writes the table."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.bench import picture_phases, read_phases, search_phases, store_phases
from benchmarks.bench.fleet import WrongAnswer
from benchmarks.bench.growth import growth
from benchmarks.bench.lightbox import installation
from benchmarks.bench.orthanc import orthanc
from benchmarks.bench.phases import Bench, Measured, Phase
from benchmarks.bench.processes import MemoryWatch, processor_seconds, settle
from benchmarks.bench.studies import Size, studies
from benchmarks.bench.tables import Outcome, markdown, write
from benchmarks.bench.targets import Target, parsed
from benchmarks.bench.wire import WireError
from standalone.errors import StandaloneError
from standalone.supervisor import StopRequested

PHASES: Final[Mapping[str, tuple[Phase, ...]]] = {
    "store": (
        store_phases.batches_and_opening,
        store_phases.batches_by_four,
        store_phases.singles,
        store_phases.singles_by_four,
        store_phases.tiny,
    ),
    "search": (
        search_phases.study_list,
        search_phases.names,
        search_phases.dates,
        search_phases.patients,
        search_phases.instances,
    ),
    "metadata": (read_phases.metadata,),
    "open": (read_phases.opening_again,),
    "frames": (read_phases.frames, read_phases.frames_of_many),
    "objects": (read_phases.study, read_phases.large_instance),
    "pictures": (
        picture_phases.rendered_ct,
        picture_phases.rendered_cr,
        picture_phases.rendered_us,
        picture_phases.thumbnails,
    ),
    "transcode": (picture_phases.transcoding,),
}
QUICK: Final = Size(slices=60, mr_frames=40, us_frames=60, small_studies=300)


def main(words: Sequence[str]) -> int:
    """Exit code 0 if everything was measured, 1 if an answer was wrong."""
    asked = _options(words)
    chosen = asked.phases.split(",") if asked.phases else [*PHASES]
    unknown = [name for name in chosen if name not in PHASES and name != "growth"]
    if unknown:
        raise StandaloneError(f"There is no phase {', '.join(unknown)}. There are: {', '.join(PHASES)}, growth.")
    outcome = Outcome({}, [], {}, asked.repetitions)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lbb-", dir=asked.work)))
            folder.chmod(0o711)
            if any(name in PHASES for name in chosen):
                _compare(asked, [name for name in chosen if name in PHASES], folder, outcome)
            if "growth" in chosen:
                outcome.growth.update(growth(folder, asked.studies, asked.quick, _say))
    except StopRequested:
        _say("Stopped. The table has what was measured until then.")
        print(markdown(outcome))
        return 143
    print(markdown(outcome))
    if asked.out is not None:
        write(outcome, asked.out)
        _say(f"Written: {asked.out} and {asked.out.with_suffix('.md')}")
    return 1 if outcome.wrong else 0


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./pacs bench", description=__doc__)
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="NAME=URL[,TOKEN]",
        help="another DICOMweb server, with a bearer token or USER:PASSWORD; half a gigabyte is stored in it",
    )
    parser.add_argument("--orthanc", action="store_true", help="Debian's Orthanc beside it")
    parser.add_argument("--without-lightbox", action="store_true", help="no installation of our own")
    parser.add_argument("--phases", help=f"of {', '.join(PHASES)}, growth; without it all but growth")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller: to see that it works")
    parser.add_argument("--small-studies", type=int, default=Size().small_studies, help="that are searched")
    parser.add_argument("--rest", type=float, default=15, help="seconds to wait for work in the background, at most")
    parser.add_argument("--studies", type=int, default=1_000_000, help="of the phase growth")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="the figures; FILE.md is written beside it")
    parser.add_argument("--cache", type=Path, default=_cache(), help="where generated studies are kept")
    parser.add_argument("--work", type=Path, help="where the servers' data lie for the time being")
    return parser.parse_args(words)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "lightbox-bench"


def _compare(asked: argparse.Namespace, chosen: Sequence[str], folder: Path, outcome: Outcome) -> None:
    size = QUICK if asked.quick else Size(small_studies=asked.small_studies)
    share, seconds = (0.3, 1.0) if asked.quick else (1.0, 3.0)
    bench = Bench(studies(asked.cache, size, _say), secrets.token_hex(4), share, seconds, asked.rest)
    with ExitStack() as stack:
        targets = [] if asked.without_lightbox else [stack.enter_context(installation(folder / "lb", _say)).target]
        if asked.orthanc:
            targets.append(stack.enter_context(orthanc(folder / "orthanc")))
        targets += [parsed(text) for text in asked.target]
        if not targets:
            raise StandaloneError("Nothing to measure: name a --target.")
        watch = stack.enter_context(MemoryWatch({target.name: target.processes for target in targets}))
        for target in targets:
            outcome.figures[target.name] = defaultdict(list)
            _fill(bench, target, outcome)
        for name in chosen:
            for phase in PHASES[name]:
                _take_turns(phase, bench, targets, asked.repetitions, outcome)
                if asked.out is not None:
                    write(outcome, asked.out)
        for target in targets:
            peak = watch.peak(target.name)
            if peak is not None:
                outcome.figures[target.name]["memory"].append(Measured(peak / 1e6))
                outcome.memory[target.name] = "PSS" if watch.fair(target.name) else "RSS"


def _fill(bench: Bench, target: Target, outcome: Outcome) -> None:
    """Store what will be read, and wait until the server has done with it what it does in the background."""
    _say(f"Storing in {target.name} what will be read ...")
    stored = store_phases.fill(bench, target)
    before = processor_seconds(target.processes)
    took, rested = settle([target.processes], bench.rest * 10)
    spent = processor_seconds(target.processes) - before
    _say(f"  then it worked for {took:.0f} s more, {spent:.1f} s of processor{'' if rested else '; not done yet'}")
    if target.processes:
        outcome.figures[target.name]["afterwards"].append(Measured(spent / stored * 1e3))


def _take_turns(phase: Phase, bench: Bench, targets: list[Target], repetitions: int, outcome: Outcome) -> None:
    """Each repetition asks every target, another one first each time."""
    failed: set[str] = set()
    for repetition in range(repetitions):
        turn = repetition % len(targets)
        for target in targets[turn:] + targets[:turn]:
            if target.name in failed:
                continue
            took, rested = settle([each.processes for each in targets], bench.rest)
            if not rested:
                _say(f"! Still at work after {took:.0f} s, measured anyhow.")
            try:
                found = phase(bench, target, repetition)
            except (WrongAnswer, WireError, OSError, ValueError, LookupError) as error:
                failed.add(target.name)
                outcome.wrong.append(f"{phase.__module__.rpartition('.')[2]}.{phase.__name__}: {error}")
                _say(f"! {outcome.wrong[-1]}")
                continue
            for key, measured in found.items():
                outcome.figures[target.name][key].append(measured)
                _say(f"  {key:<20}{target.name:<18}{measured.value:12,.2f}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
