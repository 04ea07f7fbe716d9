"""The access trail for those who read it: pages, FHIR, DICOM messages, CSV."""
