"""Which instances get a lossless representation beside the object that was received, and in which transfer syntax.

One table, first match wins; code, documentation and ``./pacs transcode --dry-run`` read it. A row is a line of words::

    MODALITIES PHOTOMETRIC BITS SOURCE -> STORED

Values of one word are separated by commas, ``*`` stands for any. BITS are Bits Allocated (0028,0100). SOURCE is the
transfer syntax of the object: ``uncompressed``, ``compressed`` (without loss), ``lossy`` (video as well), or the UID or
keyword of one. STORED is the keyword or UID of a compressed transfer syntax that loses nothing, or ``keep``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dicom.transfer_syntaxes import BY_UID, TransferSyntax

ANY = "*"
KEEP = "keep"
OFF = "off"
_BY_NAME: Mapping[str, TransferSyntax] = MappingProxyType({s.keyword: s for s in BY_UID.values()} | dict(BY_UID))
_CLASSES = ("uncompressed", "compressed", "lossy")
# What no setting can change: frames that have lost something once are never written anew.
_FIRST = "* * * lossy -> keep"
_LAST = "* * * * -> keep"


@dataclass(frozen=True, slots=True)
class Kind:
    """What the table asks of an instance."""

    modality: str
    photometric_interpretation: str
    bits_allocated: int
    transfer_syntax: TransferSyntax


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: values of its four columns, and the transfer syntax to be stored, ``None`` for none."""

    modalities: tuple[str, ...]
    photometric: tuple[str, ...]
    bits: tuple[str, ...]
    sources: tuple[str, ...]
    stored: TransferSyntax | None

    def applies_to(self, kind: Kind) -> bool:
        """Whether all four columns match."""
        syntax = kind.transfer_syntax
        return (
            _among(self.modalities, kind.modality)
            and _among(self.photometric, kind.photometric_interpretation)
            and _among(self.bits, str(kind.bits_allocated))
            and _among(self.sources, _class_of(syntax), syntax.uid, syntax.keyword)
        )

    def __str__(self) -> str:
        columns = (self.modalities, self.photometric, self.bits, self.sources)
        stored = self.stored.keyword if self.stored else KEEP
        return " ".join(",".join(values) for values in columns) + f" -> {stored}"


def parse_row(text: str) -> Row:
    """The row that a line of words stands for. Raises ``ValueError``, whose message says what was expected."""
    left, arrow, right = text.partition("->")
    columns = [tuple(word.split(",")) for word in left.split()]
    if not arrow or len(columns) != 4:
        raise ValueError(f"expected MODALITIES PHOTOMETRIC BITS SOURCE -> STORED, found {text!r}")
    modalities, photometric, bits, sources = columns
    for word in bits:
        if word != ANY and not word.isdigit():
            raise ValueError(f"Bits Allocated: expected numbers or {ANY}, found {word!r}")
    for word in sources:
        if word not in (ANY, *_CLASSES, *_BY_NAME):
            raise ValueError(f"source: expected {', '.join(_CLASSES)} or a transfer syntax, found {word!r}")
    return Row(modalities, photometric, bits, sources, _target(right.strip()))


def table(transfer_syntax: str, further: Iterable[str]) -> list[Row]:
    """All rows in force: ``further`` come before the default, which stores ``transfer_syntax`` (``off``: nothing)."""
    if transfer_syntax == OFF:
        return [parse_row(_LAST)]
    default = f"* * 8,16 uncompressed -> {transfer_syntax}"
    return [parse_row(line) for line in (_FIRST, *further, default, _LAST)]


def choose(rows: Iterable[Row], kind: Kind) -> Row:
    """The first row that matches. Raises ``LookupError`` where there is none, which ``table`` never gives."""
    for row in rows:
        if row.applies_to(kind):
            return row
    raise LookupError("the last row of the table matches everything")


def _among(wanted: tuple[str, ...], *found: str) -> bool:
    return wanted == (ANY,) or any(name in wanted for name in found)


def _class_of(syntax: TransferSyntax) -> str:
    if not syntax.lossless:
        return "lossy"
    return "compressed" if syntax.encapsulated else "uncompressed"


def _target(word: str) -> TransferSyntax | None:
    if word == KEEP:
        return None
    syntax = _BY_NAME.get(word)
    if syntax is None or not (syntax.encapsulated and syntax.lossless):
        raise ValueError(f"stored: expected {KEEP} or a compressed transfer syntax that loses nothing, found {word!r}")
    return syntax
