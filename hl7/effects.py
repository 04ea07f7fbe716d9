"""What a handler is given, and what it says that it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hl7.message import Message
from hl7.profiles import Profile
from worklist.order_messages import Moment, PatientApplied


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message with the rules of its interface; ``moment`` is when it was so, and who told it."""

    message: Message
    profile: Profile
    moment: Moment


@dataclass(frozen=True, slots=True)
class Effect:
    """``words`` say what was done, without any value of the message; ``patient`` and ``order`` are primary keys."""

    words: tuple[str, ...]
    patient: int | None = None
    order: int | None = None

    @classmethod
    def of_patient(cls, applied: PatientApplied, word: str) -> Effect:
        """What became of a patient."""
        what = "repeated" if applied.repeated else "created" if applied.created else word
        changed = f": {', '.join(sorted(applied.changed))}" if applied.changed and not applied.created else ""
        words = [f"patient {what}{changed}"]
        if applied.studies:
            words.append(f"{applied.studies} studies")
        if applied.stale:
            words.append("older than what is known: only empty values filled")
        return cls(tuple(words), applied.patient)

    def and_then(self, *words: str, order: int | None = None) -> Effect:
        """This and more."""
        return Effect((*self.words, *words), self.patient, order or self.order)


Handler = Callable[[Arrived], Effect]
