"""How long the tests that kill and cut go on: a few rounds always, many by `make soak`.

MAILHAUL_KILLS sets the number of kills, MAILHAUL_SEED draws other instants.
"""

import os

SOAKING = bool(os.environ.get("MAILHAUL_SOAK"))
ROUNDS = 10 if SOAKING else 1
KILLS = int(os.environ.get("MAILHAUL_KILLS", "1000" if SOAKING else "200"))
SEED = os.environ.get("MAILHAUL_SEED", "1")
