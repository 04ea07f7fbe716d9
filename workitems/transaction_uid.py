"""The Transaction UID (0008,1195): made by who claims a workitem, and the key to it until its end (PS3.4 CC.2.1.3).

It is kept as a hash, so that nobody who reads the database can finish another's work.
"""

import hashlib
import hmac

from workitems.errors import TransactionUIDIncorrect, TransactionUIDMissing
from workitems.models import WorkItem


def digest(workitem_uid: str, transaction_uid: str) -> str:
    """What is kept of a Transaction UID."""
    return hashlib.sha256(f"{workitem_uid}\0{transaction_uid}".encode()).hexdigest()


def check(item: WorkItem, transaction_uid: str) -> None:
    """Raises ``TransactionUIDMissing``, ``TransactionUIDIncorrect`` unless it is that of the claim."""
    if not transaction_uid:
        raise TransactionUIDMissing
    if not hmac.compare_digest(item.transaction_hash, digest(item.uid, transaction_uid)):
        raise TransactionUIDIncorrect
