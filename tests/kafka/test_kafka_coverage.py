"""Defends: the report on captures tells of a source of Kafka what the topic says of itself: what was read is covered, offset
by offset, through stops and kills; what Kafka had removed by then is a gap with its bounds, and nothing else is; refused
commands are listed. Signed, it is checked without the server by both verifiers. Where the topic ends is told by kafkajs."""
import json
import os
import random

from kafka_parts import Cluster, Source, command, message, wait_until
from test_coverage import Verifiers, report_of, the_source

TOPIC = "backoffice.create-audit-log.command.v1"
PARTITIONS = 3
ROUNDS = max(3, round(4 * float(os.environ.get("VESTIGE_TEST_SCALE", "1"))))


class Told:
    """A naive model of what a report has to tell of each partition: covered and lost stretches, which alternate."""

    def __init__(self):
        self.steps = {partition: [] for partition in range(PARTITIONS)}

    def add(self, partition, to, cause=None):
        steps = self.steps[partition]
        begin = int(steps[-1]["to"]) if steps else 0
        if to <= begin:
            return
        if steps and steps[-1].get("cause") == cause:
            steps[-1]["to"] = str(to)
        else:
            steps.append({"from": str(begin), "to": str(to), **({"cause": cause} if cause else {})})

    @property
    def gaps(self):
        return sum("cause" in step for steps in self.steps.values() for step in steps)

    def check(self, source, cluster):
        found = {run["partition"]: run for run in source["runs"]}
        assert len(source["runs"]) == PARTITIONS and source["moves"] == [] and source["gaps"] == self.gaps, source
        for partition, steps in self.steps.items():
            run = found[partition]
            assert (run["cluster"], run["topic"]) == (cluster.id, TOPIC), run
            assert (run["from"], run["to"]) == ("0", steps[-1]["to"]), (run, steps)
            bounds = [{name: step[name] for name in ("from", "to", "cause") if name in step} for step in run["steps"]]
            assert bounds == steps, (partition, bounds, steps)


def ends(source):
    return {one["partition"]: one["high"] for one in source.client("ends", topic=TOPIC)}


def some(randomly, name):
    """Commands and what is none, in any partitions."""
    return [message("bad", key="poison", partition=randomly.randrange(PARTITIONS)) if randomly.random() < 0.1 else
            message(command(targetId=name, subject="Quiet GmbH"), partition=randomly.randrange(PARTITIONS))
            for _ in range(randomly.randrange(1, 60))]


def test_what_was_read_is_covered_and_what_was_removed_is_a_gap(context):
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    randomly, cluster = random.Random(seed), Cluster(context)
    source = Source(context, cluster, [TOPIC], PARTITIONS)
    server, told = source.server.start(), Told()
    for number in range(ROUNDS):
        source.client.send(TOPIC, *some(randomly, f"read {number}"))
        source.catch_up()
        for partition, end in ends(source).items():
            told.add(partition, end)
        if randomly.random() < 0.5:
            server.kill()
        else:
            assert server.stop() == 0
        source.client.send(TOPIC, *some(randomly, f"while away {number}"))
        for partition, end in ends(source).items():
            # The first time all that is there, so that there is a gap whatever the dice say.
            offset = end if number == 0 else randomly.randrange(end + 1)
            source.client("cut", topic=TOPIC, partition=partition, offset=offset)
            told.add(partition, offset, "offsets_gone")
        server.start()
    source.catch_up()
    for partition, end in ends(source).items():
        told.add(partition, end)
    assert server.stop() == 0
    server.start()
    wait_until(lambda: len(source.about_itself("STARTED")) == ROUNDS + 2, "the last start on record")
    events, refused = source.events(), source.about_itself("REFUSED")
    report = report_of(server)
    found = the_source(report, "bank")
    told.check(found, cluster)
    assert (report["gaps"], report["unexplained"], found["kind"]) == (told.gaps, 0, "kafka") and told.gaps > 0, report
    assert found["totals"] == {"commands": len(events), "refused": len(refused)} and found["starts"] == ROUNDS + 2, found
    assert report["refused"]["listed"] == [
        {"index": entry["index"], "time": entry["time"],
         **{name: entry["detail"][name] for name in ("capture", "topic", "partition", "offset")}} for entry in refused], report
    assert report["unattributed"]["count"] == 0 and "GmbH" not in json.dumps(report), report
    check_file(context, source, told)


def check_file(context, source, told):
    """The command ends with 1 where there are gaps. What it wrote is checked when the server is gone."""
    file, both = context.folder / "kafka.coverage", Verifiers(context, source.server)
    done = context.vestige("coverage", "--out", file, data=source.server.data)
    assert done.status == 1 and done.json()["gaps"] == told.gaps, done
    assert source.server.stop() == 0
    signed = file.read_bytes()
    assert the_source(both.accept(signed)["report"], "bank")["gaps"] == told.gaps
    both.refuse(signed.replace(b'"cause":"offsets_gone"', b'"cause":"offsets_lost"', 1))
