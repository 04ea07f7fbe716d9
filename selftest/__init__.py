"""A conformance run against any DICOMweb server (PS3.18), over HTTP alone: it knows nothing of Lightbox."""
