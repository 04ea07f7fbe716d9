"""The DICOMweb door: the Studies Service of PS3.18 over HTTP. It holds no rules of its own."""
