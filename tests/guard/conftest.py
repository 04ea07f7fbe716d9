"""The trail may be emptied between tests of this folder."""
