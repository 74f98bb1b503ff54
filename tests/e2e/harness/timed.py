"""Limits on time that hold on an idle machine.

They are measured in every run and printed with `-s` or on failure. `OPENTACT_IDLE=1 ./test e2e`, on a machine that does
nothing else, also holds them against their limits.
"""

import os


def within(what, value, limit, unit="ms"):
    print(f"{what}: {value:.1f} {unit}, at most {limit} {unit} on an idle machine")
    if os.environ.get("OPENTACT_IDLE") == "1":
        assert value <= limit, what
