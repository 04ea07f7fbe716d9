"""DICOM bytes and pixels: pure functions over PS3.5, PS3.10 and PS3.18 Annex F. Knows no Django and no other room."""
