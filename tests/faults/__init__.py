"""Faults on purpose: cuts, stalls, lies and kills; and the oracle that judges what they left."""
