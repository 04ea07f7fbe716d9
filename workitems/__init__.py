"""Unified Procedure Steps: pieces of work to be done, who does them, and how far they are (PS3.4 annex CC)."""
