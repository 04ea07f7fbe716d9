"""The messages that the tests send: seven that tell one story, and parts to make others of."""

from __future__ import annotations

HEAD = "MSH|^~\\&|{app}|HOSP|PACS|IMG|20250110080000||{type}|{control}|P|2.5.1||||||UNICODE UTF-8"
PID = "PID|1||123^^^HOSP&1.2.3.4&ISO^MR||MÜLLER^JANE^Q^^DR||19800101|F"

REGISTER = """\
MSH|^~\\&|ADT|HOSP|PACS|IMG|20250110080000-0600||ADT^A04^ADT_A01|A1|P|2.5.1||||||UNICODE UTF-8
EVN||20250110080000-0600
PID|1||123^^^HOSP&1.2.3.4&ISO^MR~999^^^EPI^PI||MÜLLER^JANE^Q^^DR||19800101|F
PV1|1|O|RAD^R1^^HOSP||||77^ATT^AL|88^REF^RUTH|||||||||||V1^^^HOSP"""
ORDER = """\
MSH|^~\\&|RIS|HOSP|PACS|IMG|20250110080500||OMI^O23^OMI_O23|O1|P|2.5.1||||||UNICODE UTF-8
PID|1||123^^^HOSP&1.2.3.4&ISO^MR||MÜLLER^JANE^Q^^DR||19800101|F
PV1|1|O|RAD^R1^^HOSP|||||88^REF^RUTH|||||||||||V1^^^HOSP
ORC|NW|P1^EPIC|F1^RIS||SC
TQ1|1||||||20250110090000||S^STAT^HL70078
OBR|1|P1^EPIC|F1^RIS|CTHEAD^CT HEAD^L|||||||||fall from ladder|||88^REF^RUTH||||||||CT|||||||^trauma\
|||||||||||||CTHEAD^CT HEAD^L
IPC|A100^RIS|RP1|1.2.840.99.1|SPS1|CT|NC^Non contrast^L|CTROOM|R1|CT01
IPC|A100^RIS|RP1|1.2.840.99.1|SPS2|CT|CE^Contrast^L|CTROOM|R1|CT01"""
LEGACY = """\
MSH|^~\\&|RIS2|CLINIC|PACS|IMG|20250110081000||ORM^O01|L1|P|2.3.1
PID|1||123^^^CLINIC||ROE^RICHARD||19700202|M
PV1|1|O
ORC|NW|P2|F2||SC||1^once^^20250110100000^^R
OBR|1|P2|F2|CXR^CHEST 2V^L^PA^PA and LAT^L||||||||||||||A200|RP2|SPS9||||CR
ZDS|1.2.840.99.2^^Application^DICOM"""
CANCEL = """\
MSH|^~\\&|RIS2|CLINIC|PACS|IMG|20250110081500||ORM^O01|L2|P|2.3.1
PID|1||123^^^CLINIC||ROE^RICHARD||19700202|M
ORC|CA|P2|F2||CA
OBR|1|P2|F2|CXR^CHEST 2V^L||||||||||||||A200|RP2"""
MERGE = """\
MSH|^~\\&|ADT|HOSP|PACS|IMG|20250110090000||ADT^A40^ADT_A39|A2|P|2.5.1
EVN||20250110090000
PID|1||123^^^HOSP&1.2.3.4&ISO^MR||MÜLLER^JANE
MRG|124^^^HOSP&1.2.3.4&ISO^MR||||||MULLER^J"""
REPORT = """\
MSH|^~\\&|RIS|HOSP|PACS|IMG|20250110110000||ORU^R01^ORU_R01|R1|P|2.5.1||||||UNICODE UTF-8
PID|1||123^^^HOSP&1.2.3.4&ISO^MR||MÜLLER^JANE
OBR|1|P1^EPIC|F1^RIS|CTHEAD^CT HEAD^L|||20250110092000||||||||||||||||||F|||||||501&RAD&RITA
OBX|1|ST|113014^DICOM Study^DCM||1.2.840.99.1||||||F
OBX|2|TX|59776-5^Findings^LN|1|No acute \\T\\ no subacute bleed.||||||F
OBX|3|TX|19005-8^Impression^LN|1|Normal.||||||F"""


def wire(text: str, encoding: str = "utf-8") -> bytes:
    """The bytes of a message that stands here with one segment a line."""
    return text.replace("\n", "\r").encode(encoding)


def adt(event: str, control: str, *segments: str, app: str = "ADT") -> bytes:
    """An ADT message of these segments."""
    return wire("\n".join((HEAD.format(app=app, type=f"ADT^{event}", control=control), *segments)))


def code(answer: bytes | None) -> str:
    """MSA-1."""
    assert answer is not None
    return answer.split(b"\rMSA|")[1][:2].decode()


def error(answer: bytes | None) -> tuple[str, str, str]:
    """MSA-1, ERR-3.1 and ERR-2."""
    assert answer is not None
    fields = answer.split(b"\rERR|")[1].split(b"\r")[0].decode().split("|")
    return code(answer), fields[2].split("^")[0], fields[1]
