"""`./pacs bench`: DICOMweb servers side by side, the answers checked, whatever they are made of."""
