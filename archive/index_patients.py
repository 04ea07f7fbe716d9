"""Whose the objects of a batch are: the patient that their identifier leads, or names since a merge."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archive.index_rows import PATIENT, PatientKey, StoredObject, execute, first_of, insert

_KEY = "patient_id, issuer_of_patient_id, unidentified_study_uid"


@dataclass(frozen=True, slots=True)
class Named:
    """A patient by primary key; ``original`` is the identifier that the objects carry, if that leads another one."""

    patient: int
    original: int | None


def named_patients(objects: Sequence[StoredObject]) -> dict[PatientKey, Named]:
    """The patients of ``objects``; those nobody knows are taken up.

    Their rows are held to the end of the transaction, so that no merge overtakes what is stored under them: it waits,
    or is waited for and then followed.
    """
    firsts = first_of(objects, lambda o: o.patient_key)
    insert("archive_patient", PATIENT, firsts, unless=_KEY, returning="id")
    found = execute(
        f"SELECT {_KEY}, id, merged_into_id FROM archive_patient WHERE ({_KEY}) IN (SELECT * FROM {{rows}}) "
        f"ORDER BY {_KEY} FOR KEY SHARE",
        ["text", "text", "text"],
        [o.patient_key for o in firsts],
    )
    last = _survivors({survivor for *_, survivor in found if survivor is not None})
    return {
        (a, b, c): Named(pk, None) if survivor is None else Named(last[survivor], pk) for a, b, c, pk, survivor in found
    }


def _survivors(patients: Iterable[int]) -> dict[int, int]:
    """These patients and, for one that was merged away just now, into whom; all of them held."""
    wanted = list(patients)
    if not wanted:
        return {}
    found = execute(
        f"SELECT id, merged_into_id FROM archive_patient WHERE id IN (SELECT * FROM {{rows}}) "
        f"ORDER BY {_KEY} FOR KEY SHARE",
        ["bigint"],
        [[pk] for pk in wanted],
    )
    further = _survivors({survivor for _, survivor in found if survivor is not None})
    return {pk: pk if survivor is None else further[survivor] for pk, survivor in found}
