"""Defends: whatever is killed when, the trail ends up as what happened: each change that PostgreSQL committed is on record once, to
the byte, in order, with no hole, and both trail and server are sound. chaos.py says how; these are the first of many rounds."""
import os

import chaos

ROUNDS = max(1, round(5 * float(os.environ.get("VESTIGE_TEST_SCALE", "1"))))


def test_after_chaos_the_trail_is_what_happened(context):
    chaos.run_some(context, chaos.OF_POSTGRESQL, ROUNDS, "./dev chaos --without-kafka 1")
