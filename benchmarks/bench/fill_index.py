"""``python -m benchmarks.bench.fill_index 1000000``: fills the empty index of the installation in the environment."""

from __future__ import annotations

import sys
import time


def main() -> None:
    """One instance a series: what grows is the number of studies."""
    import django

    django.setup()
    from tests.archive import scale

    begun = time.perf_counter()
    print(scale.load(int(sys.argv[1]), 1), f"in {time.perf_counter() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
