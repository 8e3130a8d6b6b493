"""Kafka in rounds of chaos (tests/e2e/chaos.py): a broker as a victim, and the part that sends commands onto its topic and
holds the trail against what kafkajs reads there."""
import signal
import subprocess

from capture_parts import same_lines
from chaos_parts import Pace
from command_load import CommandLoad
from kafka_parts import Cluster, Expected, Source, command, message, recorded_lines, wait_until

TOPIC = "backoffice.create-audit-log.command.v1"
PARTITIONS_MAX = 4
COMMANDS_AT_FIRST_MAX = 1000
# A broker that is told to stop while it starts may wait for itself. Whoever waits for it loses patience.
STOP_SECONDS_MAX = 10
# A broker that was killed may not come back before its controller, which died with it, believes that it is gone.
SETTINGS = {"broker.session.timeout.ms": "1000", "broker.heartbeat.interval.ms": "200"}


class Kafka:
    """kill -9, and the signal that an operator stops it with."""

    name = "Kafka"

    def __init__(self, cluster):
        self.cluster = cluster
        self.node, = cluster.nodes

    def strike(self, randomly):
        self.come_back()  # where it gave up by itself
        how = randomly.choice(("killed", "killed", "stopped"))
        self.node.process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGTERM)
        return how

    def wait_until_gone(self):
        try:
            self.node.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.cluster.kill()

    def come_back(self):
        self.cluster.launch()

    def wait_until_ready(self):
        self.cluster.wait_until_ready()


class Commanded:
    """The part of Kafka: a topic in which there are some hundred commands at the first start."""

    VICTIM, COUNTED = Kafka, "commands"
    # Java takes seconds to begin, and Kafka seconds to believe that a member of a group is gone.
    PACE = Pace(strikes_at_first_max=2, strikes_min=3, strikes_max=4, catch_up_seconds_max=4, write_seconds_max=0.3, large=0.1)

    def __init__(self, context, randomly):
        self.cluster = Cluster(context, **SETTINGS)
        self.source = Source(context, self.cluster, [TOPIC], randomly.randint(1, PARTITIONS_MAX), alone=False)
        self.victim, self.sent = Kafka(self.cluster), None
        self.source.client.send(TOPIC, *[
            message(command(targetType="FIRST", targetId=f"{number}"), partition=number % self.source.partitions[TOPIC])
            for number in range(randomly.randrange(1, COMMANDS_AT_FIRST_MAX))])

    def load(self, randomly, pace):
        self.sent = CommandLoad(self.source, randomly, pace.write_seconds_max)
        return self.sent

    def wait_until_followed(self):
        """The first command of all is on record."""
        wait_until(lambda: self.source.server.search(targetType=["FIRST"], targetId="0")["events"], "a command on record")

    def check(self):
        """Number and digest of the commands, on record or refused, which are the topic's and the trail's. That they come in order,
        with dead letters for those that were refused, and that nothing is missing that was acknowledged, is looked at after that."""
        self.source.catch_up()
        messages, events = self.source.client.read(TOPIC), self.source.events()
        expected = Expected(messages, self.source.name)
        digest = same_lines(expected.lines(), recorded_lines(events, self.source.about_itself("REFUSED")))
        self.source.check_all(expected, events, crashed=True)
        self.sent.check(messages, events)
        return len(expected.lines()), digest
