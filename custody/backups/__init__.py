"""Backups: encrypted copies of database, secrets and objects that fit together, and the way back."""
