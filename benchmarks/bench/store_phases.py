"""Storing: batches and single instances, by one client and by four; what a viewer sees right after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from benchmarks.bench import answers
from benchmarks.bench.fleet import Ask, run, shared_out
from benchmarks.bench.packs import Copied, Instance, Pack, batches, copies
from benchmarks.bench.phases import JSON, OBJECTS, Bench, Figures, Measured, multipart, rate
from benchmarks.bench.read_phases import open_stack
from benchmarks.bench.targets import Target

BATCH: Final = 50
_LOOKED_AT: Final = 3


def stow(objects: Sequence[Copied]) -> Ask:
    """One request for all of them."""
    return replace(multipart([one.data for one in objects]), check=answers.stored(objects))


def look_at(target: Target, objects: Sequence[Copied]) -> None:
    """Raises WrongAnswer unless the first study has as many instances as were sent, and some come back as they went."""
    study = objects[0].instance.study
    sent = sum(one.instance.study == study for one in objects)
    path = f"studies/{study}/instances?limit=2000"
    some = [objects[0], objects[len(objects) // 2], objects[-1]][:_LOOKED_AT]
    asks = [Ask(path, JSON, answers.listed(sent, answers.INSTANCE_TAGS))]
    asks += [Ask(one.instance.path, OBJECTS, answers.objects([one.data])) for one in some]
    run(target, [asks])


def fill(bench: Bench, target: Target) -> int:
    """Store what the other phases read, under the UIDs that the packs have; how many. Raises WrongAnswer."""
    found = bench.studies
    for pack, batch in ((found.small, 150), (found.ct, BATCH), (found.cr, 1), (found.mr, 1), (found.us, 1)):
        objects = [Copied(pack, one, one) for one in pack.instances]
        run(target, shared_out([stow(each) for each in batches(objects, batch)], 2))
    return sum(map(len, (found.small, found.ct, found.cr, found.mr, found.us)))


def batches_and_opening(bench: Bench, target: Target, repetition: int) -> Figures:
    """A series arrives in batches of 50 and is opened at once."""
    pack = bench.studies.ct
    made = copies(pack, pack.instances, _salt(bench, target, "b50c1", repetition))
    done = run(target, [[stow(each) for each in batches(made, BATCH)]])
    opened = open_stack(target, made)
    look_at(target, made)
    return {
        "stow_ct_b50_c1": rate(done, len(made)),
        "metadata_fresh": opened.metadata,
        "open_fresh_first": opened.first,
        "open_fresh_stack": opened.stack,
    }


def batches_by_four(bench: Bench, target: Target, repetition: int) -> Figures:
    """Four series at once, two batches each."""
    pack = bench.studies.ct
    plans, made = [], []
    for client in range(4):
        mine = copies(pack, pack.instances[: bench.some(100)], _salt(bench, target, "b50c4", repetition, client))
        made += mine
        plans.append([stow(each) for each in batches(mine, BATCH)])
    done = run(target, plans)
    look_at(target, made)
    return {"stow_ct_b50_c4": rate(done, len(made))}


def singles(bench: Bench, target: Target, repetition: int) -> Figures:
    """One CT slice a request, by one client."""
    chosen = bench.studies.ct.instances[: bench.some(80)]
    return {"stow_ct_b1_c1": _singles(target, bench.studies.ct, chosen, _salt(bench, target, "b1c1", repetition))}


def singles_by_four(bench: Bench, target: Target, repetition: int) -> Figures:
    """The same by four, each with a series of its own."""
    pack = bench.studies.ct
    plans, made = [], []
    for client in range(4):
        mine = copies(pack, pack.instances[: bench.some(50)], _salt(bench, target, "b1c4", repetition, client))
        made += mine
        plans.append([stow([one]) for one in mine])
    done = run(target, plans)
    look_at(target, made)
    return {"stow_ct_b1_c4": rate(done)}


def tiny(bench: Bench, target: Target, repetition: int) -> Figures:
    """One object of 3 KB a request: small studies of three objects each."""
    chosen = bench.studies.small.instances[: bench.some(240)]
    return {"stow_tiny_c1": _singles(target, bench.studies.small, chosen, _salt(bench, target, "tiny", repetition))}


def _singles(target: Target, pack: Pack, chosen: Sequence[Instance], salt: str) -> Measured:
    made = copies(pack, chosen, salt)
    done = run(target, [[stow([one]) for one in made]])
    look_at(target, made)
    return rate(done)


def _salt(bench: Bench, target: Target, *words: object) -> str:
    return "/".join(map(str, (bench.salt, target.name, *words)))
