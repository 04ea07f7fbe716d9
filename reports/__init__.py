"""Reports about studies: every version as it came, and which studies and order it is about."""
