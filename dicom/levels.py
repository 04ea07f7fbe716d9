"""Where a scan is: a data set or item, or a sequence between two of its items, each knowing what it lies in."""

from __future__ import annotations

from dicom.charsets import CharacterSet
from dicom.coding import Coding
from dicom.memo import Entry, Memo, memo_for


class DataSetLevel:
    """The data set, or an item, whose elements are being read. `elements` are those read so far, by tag."""

    __slots__ = ("characters", "coding", "elements", "end", "inside", "memo", "reread", "start", "undefined")

    def __init__(
        self,
        inside: SequenceLevel | None,
        start: int,
        end: int,
        undefined: bool,
        coding: Coding,
        characters: CharacterSet,
    ) -> None:
        self.inside = inside
        self.elements: dict[int, Entry] = {}
        self.start = start
        self.end = end  # where it ends, or must have ended if its length is undefined
        self.undefined = undefined
        self.coding = coding
        self.reread = False
        self.use(characters)

    def use(self, characters: CharacterSet) -> None:
        """Read text under this character set from here on."""
        self.characters = characters
        self.memo: Memo = memo_for(self.coding.name, characters)

    def json(self) -> bytes:
        """The elements as one DICOM JSON object."""
        # a fragment begins with its tag, so that their order is the order of the tags
        return b"{%b}" % b",".join(sorted([entry[0] for entry in self.elements.values() if entry[0]]))

    def text(self, tag: int) -> str:
        """The text of an element of this level or, if it has none, of the nearest around it; "" if there is none."""
        level: DataSetLevel | None = self
        while level is not None:
            if entry := level.elements.get(tag):
                return entry[1]
            level = level.inside.around if level.inside else None
        return ""

    def steps(self) -> list[tuple[int, int]]:
        """The sequences it lies in, outermost first: tag, and number of the item from 1."""
        steps: list[tuple[int, int]] = []
        sequence = self.inside
        while sequence is not None:
            steps.append((sequence.tag, len(sequence.items) + 1))
            sequence = sequence.around.inside
        return steps[::-1]


class SequenceLevel:
    """A sequence whose items are being read; `items` are those that are complete, as DICOM JSON."""

    __slots__ = ("around", "coding", "depth", "end", "items", "tag", "undefined")

    def __init__(self, around: DataSetLevel, tag: int, end: int, undefined: bool, coding: Coding) -> None:
        self.around = around
        self.depth: int = around.inside.depth + 1 if around.inside else 1
        self.tag = tag
        self.end = end
        self.undefined = undefined
        self.coding = coding
        self.items: list[bytes] = []
