"""Proofs for an outside auditor, each complete with the signed checkpoint that it leads to."""

import base64
import json
from collections.abc import Iterable
from typing import Any

from django.db import connection

from audit import tree
from audit.archives import archived, archived_text
from audit.canonical import CANONICAL_SQL
from audit.checkpoints import Checkpoint, PublicKey, read
from audit.merkle import consistency_proof, inclusion_proof, is_consistent, leaf_hash, root_from_inclusion
from audit.models import SealedEvent
from audit.places import Place
from audit.tree import TrailAltered

_EVENT = f"SELECT {CANONICAL_SQL} FROM audit_accessevent e WHERE e.sequence = %s"  # noqa: S608 - our own columns


class NoProof(Exception):
    """There is nothing to prove, or nothing to prove it with. The text says which."""


def inclusion(sequence: int, place: Place, keys: Iterable[PublicKey]) -> dict[str, Any]:
    """That the event is in the signed log (RFC 9162 2.1.3).

    Raises NoProof, TrailAltered where the event is not the one that was signed, BadCheckpoint.
    """
    position = SealedEvent.objects.filter(sequence=sequence).values_list("position", flat=True).first()
    if position is None:
        raise NoProof(f"event {sequence} does not exist, or is not sealed yet; that takes a second")
    checkpoint = _newest(place, keys)
    if checkpoint is None or checkpoint.size < position:
        raise NoProof(f"event {sequence} is under no checkpoint yet; `audit_seal` signs one")
    with connection.cursor() as cursor:
        cursor.execute(_EVENT, [sequence])
        row = cursor.fetchone()
    text = row[0] if row is not None else archived_text(position)
    if text is None and archived([position]):
        raise NoProof(f"event {sequence} lies in an archive that is not here; `audit_verify` names it")
    if text is None:
        raise TrailAltered(f"event {sequence} is gone")
    path = inclusion_proof(position - 1, checkpoint.size, tree.subtree)
    if root_from_inclusion(position - 1, checkpoint.size, leaf_hash(text.encode()), path) != checkpoint.root:
        raise TrailAltered(f"event {sequence} is not the one that was signed, or the log around it is not")
    return {
        "event": json.loads(text),
        "leaf_index": position - 1,
        "audit_path": _encoded(path),
        "checkpoint": checkpoint.text,
    }


def consistency(first: int, second: int, place: Place, keys: Iterable[PublicKey]) -> dict[str, Any]:
    """That the log of ``second`` events begins with the one of ``first`` (RFC 9162 2.1.4); both are checkpoints.

    Raises NoProof, TrailAltered, BadCheckpoint.
    """
    keys = list(keys)
    by_size = {int(path.stem): path for path in place.checkpoints() if path.stem.isdigit()}
    if not {first, second} <= by_size.keys() or first > second:
        raise NoProof("these are not the sizes of two checkpoints, the older one first")
    old, new = (read(by_size[size].read_text(), keys) for size in (first, second))
    path = consistency_proof(first, second, tree.subtree)
    if not is_consistent(first, old.root, second, new.root, path):
        raise TrailAltered("the log does not lead from the one checkpoint to the other")
    return {"first": old.text, "second": new.text, "consistency_path": _encoded(path)}


def _newest(place: Place, keys: Iterable[PublicKey]) -> Checkpoint | None:
    path = place.newest()
    return read(path.read_text(), keys) if path is not None else None


def _encoded(path: Iterable[bytes]) -> list[str]:
    return [base64.b64encode(hashed).decode() for hashed in path]
