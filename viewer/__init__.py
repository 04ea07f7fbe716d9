"""The door through which people see images: OHIF at ``/viewer/``, a client of ``/dicom-web`` like any other."""
