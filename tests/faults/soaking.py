"""How long the tests that kill and cut go on: a few rounds always, many by `make soak`."""

import os

SOAKING = bool(os.environ.get("MAILHAUL_SOAK"))
ROUNDS = 10 if SOAKING else 1
KILLS = 1_000 if SOAKING else 200
SEED = os.environ.get("MAILHAUL_SEED", "1")
