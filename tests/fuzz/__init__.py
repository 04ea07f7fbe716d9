"""Whatever bytes a client sends: readers answer, or refuse with an error of their own. `python -m tests.fuzz.run`."""
