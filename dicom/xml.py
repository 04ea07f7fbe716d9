"""The Native DICOM Model: DICOM attributes in XML (PS3.18 F.3, PS3.19 A.1)."""

from dicom.xml_reader import from_xml
from dicom.xml_writer import NAMESPACE, to_xml

__all__ = ["NAMESPACE", "from_xml", "to_xml"]
