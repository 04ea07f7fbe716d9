"""What the access trail says of a message: a record of a patient or of an order that another system changed."""

from __future__ import annotations

from typing import Final

from audit.kinds import ORDER_RECORD, PATIENT_RECORD, Outcome
from audit.prepared import PreparedSql
from audit.record import NewAccessEvent, record
from hl7.errors import Refused
from hl7.interfaces import Peer
from hl7.models import Hl7Message, MessageState

_IDENTIFIER: Final = PreparedSql("SELECT patient_id FROM archive_patient WHERE id = %s")


def record_message(message: Hl7Message, refused: Refused | None, *, peer: Peer | None = None, by: str = "") -> None:
    """Leave the event of a message (PS3.15 A.5.3.9, A.5.3.11) in the open transaction.

    It is the partner's, by the account that ``peer`` proved over HTTP; or of the person ``by`` whom it was applied once
    more or closed.
    """
    account = peer.account if peer else ""
    interface = message.interface.name if message.interface else "unknown sender"
    failed = message.state in (MessageState.PARKED, MessageState.REFUSED, MessageState.FAILED)
    about = [identifier for (identifier,) in _IDENTIFIER.rows([message.patient])] if message.patient else ()
    record(
        [
            NewAccessEvent(
                kind=PATIENT_RECORD if message.type.startswith("ADT") else ORDER_RECORD,
                principal_kind="client" if account else "system",
                principal_id=account or str(message.interface_id or ""),
                principal_name=peer.account_name if peer and account else interface,
                auth_method="replay" if by else message.transport,
                outcome=Outcome.MINOR_FAILURE if failed else Outcome.SUCCESS,
                outcome_description=f"{int(refused.condition)} {refused.text}" if refused else message.state,
                decision="allow" if message.state != MessageState.REFUSED else "deny",
                source_ip="" if by else message.peer,
                rule=f"interface:{interface}",
                purpose=f"by {by}" if by else "",
                method="HL7",
                path=message.type,
                request_id=str(message.pk),
                patient_ids=about,
            )
        ]
    )
