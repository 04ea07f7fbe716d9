"""What a token may do: scopes after SMART App Launch 2.0, for imaging. THE table from a scope to permissions.

``user/ImagingStudy.rs`` is context, resource and letters: create, read, update, delete, search. ``patient/`` limits the
token to one patient, ``user/`` is for apps that act for a person, ``system/`` for machines. A scope never gives more
than the roles do.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Final

from access.roles import Permission

EVERYTHING: Final = "dicomweb"
LAUNCH_PATIENT: Final = "launch/patient"
OF_PEOPLE: Final = ("patient", "user")
OF_MACHINES: Final = ("system",)
_LETTERS: Final[Mapping[str, Permission]] = MappingProxyType(
    {
        "c": Permission.STORE,
        "r": Permission.RETRIEVE,
        "u": Permission.UPDATE,
        "d": Permission.DELETE,
        "s": Permission.SEARCH,
    }
)
# Workitems are FHIR's Task: made (c), read and found (r, s), claimed, updated and ended (u).
_TASK_LETTERS: Final[Mapping[str, Permission]] = MappingProxyType(
    {
        "c": Permission.WORKITEMS_MANAGE,
        "r": Permission.WORKITEMS_READ,
        "u": Permission.WORKITEMS_PERFORM,
        "s": Permission.WORKITEMS_READ,
    }
)
# SMART App Launch 1 wrote words.
_WORDS: Final[Mapping[str, str]] = MappingProxyType({"read": "rs", "write": "cud", "*": "cruds"})
_ENDINGS: Final[Mapping[str, str]] = MappingProxyType(
    {"".join(some): "".join(some) for size in range(1, 6) for some in combinations(_LETTERS, size)} | dict(_WORDS)
)

# None is all that the roles have. What is not here is not known.
SCOPES: Final[Mapping[str, frozenset[Permission] | None]] = MappingProxyType(
    {EVERYTHING: None, LAUNCH_PATIENT: frozenset()}
    | {
        f"{context}/ImagingStudy.{ending}": frozenset(_LETTERS[letter] for letter in letters)
        for context in (*OF_PEOPLE, *OF_MACHINES)
        for ending, letters in _ENDINGS.items()
    }
    | {
        f"{context}/Task.{''.join(some)}": frozenset(_TASK_LETTERS[letter] for letter in some)
        for context in ("user", *OF_MACHINES)
        for size in range(1, 5)
        for some in combinations(_TASK_LETTERS, size)
    }
)
# What the discovery documents name; the other combinations of letters are known as well.
NAMED: Final = (
    EVERYTHING,
    LAUNCH_PATIENT,
    *(f"{context}/ImagingStudy.{ending}" for context in (*OF_PEOPLE, *OF_MACHINES) for ending in ("rs", "cruds")),
    *(f"{context}/Task.{ending}" for context in ("user", *OF_MACHINES) for ending in ("rus", "crus")),
)
DEFAULT_OF_APPS: Final = ("patient/ImagingStudy.rs", "user/ImagingStudy.rs")
IN_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Permission.SEARCH: "find studies, and see whose they are",
        Permission.RETRIEVE: "open images, and whatever else is in a study",
        Permission.OBJECTS: "copy whole DICOM files",
        Permission.STORE: "add images and documents",
        Permission.ANNOTATE: "save measurements and notes about images",
        Permission.UPDATE: "correct what is written in studies",
        Permission.DELETE: "delete studies",
        Permission.EXPORT: "give studies to others",
        Permission.BREAK_GLASS: "open studies in an emergency",
        Permission.REPORT: "write reports",
        Permission.READ_REPORTS: "read reports",
        Permission.AUDIT_READ: "read who saw and did what",
        Permission.MANAGE: "manage accounts, roles and settings",
        Permission.HOLD: "place legal holds, and release them",
        Permission.MESSAGES: "send HL7 messages about patients and orders",
        Permission.INTERFACES: "read HL7 messages and apply them once more",
        Permission.WORKLIST: "read the worklist, and say what was performed",
        Permission.WORKITEMS_READ: "find and read workitems",
        Permission.WORKITEMS_PERFORM: "claim workitems, and say how far they are",
        Permission.WORKITEMS_MANAGE: "make workitems, change them and ask for their end",
    }
)


def everything() -> list[str]:
    """The scopes of a machine of which nothing else is said."""
    return [EVERYTHING]


def permissions_of(scopes: Iterable[str]) -> tuple[str, ...] | None:
    """What a token with these scopes is limited to; None for all that the roles have, () for nothing."""
    named = set(scopes)
    if EVERYTHING in named:
        return None
    return tuple(sorted({each.value for scope in named for each in SCOPES.get(scope) or ()}))


def is_of_one_patient(scopes: Iterable[str]) -> bool:
    """Whether a token with these scopes reaches one patient only, who has to be chosen."""
    return any(scope == LAUNCH_PATIENT or _context(scope) == "patient" for scope in scopes)


def granted(asked: Iterable[str], allowed: Sequence[str], contexts: Sequence[str]) -> list[str]:
    """Those of ``asked`` that a client allowed ``allowed`` gets, in their order; the rest is left out (RFC 6749 3.3).

    A scope within an allowed one is allowed: ``.r`` where ``.rs`` is.
    """
    return [scope for scope in dict.fromkeys(asked) if scope in SCOPES and _is_allowed(scope, allowed, contexts)]


def granted_to_app(asked: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """The same for an app that acts for a person; the limit to one patient is never left out beside what it gets."""
    found = granted(asked, allowed, OF_PEOPLE)
    return [scope for scope in dict.fromkeys(asked) if scope in found or (found and scope == LAUNCH_PATIENT)]


def default_of(allowed: Sequence[str], contexts: Sequence[str]) -> list[str]:
    """What a client gets that asks for nothing: all it may, but not the limit to one patient if there is a choice."""
    fitting = granted(allowed, allowed, contexts)
    wide = [scope for scope in fitting if not is_of_one_patient([scope])]
    return [EVERYTHING] if EVERYTHING in fitting else wide or fitting


def in_words(permissions: Iterable[str]) -> list[str]:
    """Permissions in words for people, in the order of the table."""
    wanted = set(permissions)
    known = [IN_WORDS[each] for each in IN_WORDS if each in wanted]
    return known + sorted(each.replace("_", " ") for each in wanted.difference(IN_WORDS))


def named_in_words() -> dict[str, str]:
    """What the scopes that the documents name are for, in words."""
    whole = {EVERYTHING: "all that the roles allow", LAUNCH_PATIENT: "one patient only, whom the person chooses"}
    return {scope: whole.get(scope) or ", ".join(in_words(SCOPES[scope] or ())) for scope in NAMED}


def _is_allowed(scope: str, allowed: Sequence[str], contexts: Sequence[str]) -> bool:
    if scope == EVERYTHING:
        return EVERYTHING in allowed
    context = "patient" if scope == LAUNCH_PATIENT else _context(scope)
    if context not in contexts:
        return False
    if EVERYTHING in allowed or scope in allowed:
        return True
    within = [each for each in allowed if each in SCOPES and _context(each) == context]
    reached = {permission for each in within for permission in SCOPES[each] or ()}
    return bool(within) and reached.issuperset(SCOPES[scope] or ())


def _context(scope: str) -> str:
    return scope.partition("/")[0] if "/ImagingStudy." in scope or "/Task." in scope else ""
