"""Every kept input, and a short deterministic search around the seeds; no atheris is needed.

`regressions/` has the inputs that broke a reader once, or would break a slightly worse one, named TARGET-REASON;
`corpus/` what the long run (`python -m tests.fuzz.run TARGET`) reached, one input a line in base64.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

from archive.errors import InvalidQuery
from archive.models import Study
from archive.search import search
from tests.fuzz.fuzz_query import parsed
from tests.fuzz.run import TARGETS, kept_corpus
from tests.fuzz.target import Target

FOLDER = Path(__file__).parent / "regressions"
CASES = sorted(path.name for path in FOLDER.iterdir())
MUTATIONS = 3000
SLOWEST = 5.0  # seconds of work for any input of this length


def target_of(name: str) -> Target:
    target: Target = import_module(f"tests.fuzz.fuzz_{name}").TARGET
    return target


def timed_check(target: Target, data: bytes) -> None:
    began = time.process_time()
    target.check(data)
    assert time.process_time() - began < SLOWEST, data[:100]


def searched(target: Target, count: int) -> None:
    """Check inputs around the seeds, the same ones in every run."""
    turn = random.Random(target.name)
    seeds = [seed for seed in target.seeds() if len(seed) <= target.longest]
    for _ in range(count):
        data = mutated(turn.choice(seeds), target.words, turn)
        try:
            timed_check(target, data)
        except BaseException as error:
            error.add_note(f"input: {data!r}")
            raise


def mutated(data: bytes, words: tuple[bytes, ...], turn: random.Random) -> bytes:
    """`data` with some pieces changed, lost, doubled, or replaced by words and extreme numbers."""
    out = bytearray(data)
    for _ in range(turn.randint(1, 6)):
        place = turn.randrange(len(out) + 1)
        length = turn.choice((0, 1, 2, 4, turn.randrange(len(out) // 4 + 1)))
        piece = turn.choice((b"", turn.randbytes(length), turn.choice(words), bytes(out[place : place + length]) * 2))
        out[place : place + length] = turn.choice((piece, b"\0" * length, b"\xff" * length))
    return bytes(out)


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_hold(name: str) -> None:
    target = target_of(name)
    seeds = list(target.seeds())
    assert len(seeds) >= 10
    for seed in seeds:
        timed_check(target, seed)


@pytest.mark.parametrize("case", CASES)
def test_what_was_found_stays_mended(case: str) -> None:
    timed_check(target_of(case.partition("-")[0]), (FOLDER / case).read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_what_the_long_run_reached(name: str) -> None:
    target = target_of(name)
    corpus = kept_corpus(name)
    assert len(corpus) >= 10
    for data in corpus:
        timed_check(target, data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_search_around_the_seeds(name: str) -> None:
    searched(target_of(name), MUTATIONS)


def test_the_search_finds_a_broken_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not hold back what may be the beginning of a delimiter."""
    monkeypatch.setattr("dicomweb.multipart.MultipartReader._held_from", lambda reader, start: len(reader._buffer))
    with pytest.raises(AssertionError, match="size of the reads"):
        searched(target_of("multipart"), MUTATIONS)


@pytest.mark.django_db
def test_postgresql_takes_every_query_that_is_not_refused() -> None:
    target, turn = target_of("query"), random.Random("queries")
    seeds = list(target.seeds())
    kept = [(FOLDER / case).read_bytes() for case in CASES if case.startswith("query-")]
    answered = 0
    for data in [*seeds, *kept, *(mutated(turn.choice(seeds), target.words, turn) for _ in range(300))]:
        found = parsed(data)
        if found is not None:
            with suppress(InvalidQuery):
                search(found.query, Study.objects.all(), "http://localhost/dicom-web")
                answered += 1
    assert answered > len(seeds) / 2
