"""Defends: whatever is killed when, the server, PostgreSQL or Kafka's broker, the trail ends up as what happened: each row that
changed and each command that Kafka holds is on record once, in order and to the byte, or refused with a dead letter, nothing that was
acknowledged is missing, and no gap is told of that is none. tests/e2e/chaos.py says how; these are the first of many rounds."""
import os

import chaos
from commanded import Commanded

ROUNDS = max(1, round(5 * float(os.environ.get("VESTIGE_TEST_SCALE", "1"))))


def test_after_chaos_with_kafka_the_trail_is_what_happened(context):
    chaos.run_some(context, (*chaos.OF_POSTGRESQL, Commanded), ROUNDS, "./dev chaos 1")
