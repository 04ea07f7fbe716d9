"""Modes of the installation: read-only, by an administrator or for want of disk."""
