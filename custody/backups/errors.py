"""What can go wrong with a backup, in words for whoever has to mend it. None of them names a patient."""


class BackupError(Exception):
    """It can't be made or read; the text says why and what to do."""


class UnderWay(BackupError):
    """Another one is being made, which is as good."""


class Unknown(BackupError):
    """Nobody can tell whether it came to its end; what there is of it stays."""


class WrongKey(BackupError):
    """It was made with another key."""


class Damaged(BackupError):
    """What was read is not what was written: altered, cut, or taken from another place. ``part`` is its name."""

    def __init__(self, text: str, part: str) -> None:
        super().__init__(text)
        self.part = part
