"""The parts of an audit message as XML: codes, active participants and participant objects (PS3.15 A.5.1)."""

import base64
import re
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

DCM: Final = "DCM"
RFC_3881: Final = "RFC-3881"
# What a search below /dicom-web is to those who know DIMSE: Study Root Query/Retrieve Information Model - FIND.
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
QUERY_ENCODING: Final = ("QueryEncoding", "UTF-8")
# NetworkAccessPointTypeCode
MACHINE: Final = "1"
ADDRESS: Final = "2"
AT_URI: Final = "5"
# What XML 1.0 can't hold (2.2), escaped or not.
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value: its code, the system it is of, and its meaning."""

    code: str
    system: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Participant:
    """An ActiveParticipant; ``address``, ``machine`` or ``uri`` is its network access point."""

    user_id: str
    requestor: bool
    roles: tuple[Code, ...] = ()
    alternative: str = ""
    name: str = ""
    address: str = ""
    machine: str = ""
    uri: str = ""
    media: Code | None = None

    def add_to(self, message: ElementTree.Element) -> None:
        """Append the element."""
        attributes = {
            "UserID": self.user_id,
            "AlternativeUserID": self.alternative,
            "UserName": self.name,
            "UserIsRequestor": "true" if self.requestor else "false",
            "NetworkAccessPointID": self.address or self.machine or self.uri,
        }
        if attributes["NetworkAccessPointID"]:
            attributes["NetworkAccessPointTypeCode"] = ADDRESS if self.address else MACHINE if self.machine else AT_URI
        kept = {name: attribute_text(value) for name, value in attributes.items() if value}
        element = ElementTree.SubElement(message, "ActiveParticipant", kept)
        for role in self.roles:
            coded(element, "RoleIDCode", role)
        if self.media is not None:
            coded(ElementTree.SubElement(element, "MediaIdentifier"), "MediaType", self.media)


@dataclass(frozen=True, slots=True)
class Object:
    """A ParticipantObjectIdentification: with ``query`` where it is one, else with ``name``.

    ``details`` and ``query`` are plain text here, base64 in the message.
    """

    id: str
    type_code: str
    role: str
    id_type: Code
    name: str = ""
    query: str | None = None
    details: tuple[tuple[str, str], ...] = ()
    accession: str = ""
    instances: int | None = None
    instance_uid: str = ""

    def add_to(self, message: ElementTree.Element) -> None:
        """Append the element."""
        element = ElementTree.SubElement(
            message,
            "ParticipantObjectIdentification",
            {
                "ParticipantObjectID": attribute_text(self.id),
                "ParticipantObjectTypeCode": self.type_code,
                "ParticipantObjectTypeCodeRole": self.role,
            },
        )
        coded(element, "ParticipantObjectIDTypeCode", self.id_type)
        if self.query is None:
            ElementTree.SubElement(element, "ParticipantObjectName").text = attribute_text(self.name)
        else:
            ElementTree.SubElement(element, "ParticipantObjectQuery").text = _base64(self.query)
        for name, value in self.details:
            ElementTree.SubElement(element, "ParticipantObjectDetail", {"type": name, "value": _base64(value)})
        if self.accession or self.instances is not None or self.instance_uid:
            self._describe(ElementTree.SubElement(element, "ParticipantObjectDescription"))

    def _describe(self, description: ElementTree.Element) -> None:
        if self.accession:
            ElementTree.SubElement(description, "Accession", {"Number": attribute_text(self.accession)})
        if self.instances is not None or self.instance_uid:
            count = self.instances if self.instances is not None else 1
            classes = ElementTree.SubElement(description, "SOPClass", {"NumberOfInstances": str(count)})
            if self.instance_uid:
                ElementTree.SubElement(classes, "Instance", {"UID": attribute_text(self.instance_uid)})


def coded(parent: ElementTree.Element, name: str, code: Code) -> None:
    """Append a CodedValueType."""
    attributes = {"csd-code": code.code, "codeSystemName": code.system, "originalText": code.meaning}
    ElementTree.SubElement(parent, name, {key: attribute_text(value) for key, value in attributes.items()})


def attribute_text(text: str) -> str:
    """``text`` as XML 1.0 can hold it: other control characters and lone surrogates become U+FFFD."""
    return _FORBIDDEN.sub("\ufffd", text)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
