"""Defends: whatever is killed when, `vestige forward kafka` puts every entry that its key may see onto a topic of a real
Kafka, as the API gives it, in each partition in the trail's order, and again only where something was killed; what it cannot
send ends it with words that say what to do, and it goes on where it stood once that is mended; and it feeds no capture of the
same trail. What the topic holds is told by kafkajs."""
import json
import os
import random
import signal
import threading
import time
import uuid

from api_parts import event
from forward_parts import MASK, TOPIC, Forwarder, check_messages, check_whole, entries_of, index_of, make_key, origin_of, post
from kafka_parts import Cluster, Source, command, message, wait_until

SCALE = float(os.environ.get("VESTIGE_TEST_SCALE", "1"))
PARTITIONS = 3
COMMANDS = "bank.commands"
MORE_KILLS = round(SCALE)  # besides one of each kind
FIRSTS = round(4 * SCALE)  # topics whose first message is too large
FLUSH_SECONDS = 10  # that it waits for acknowledgements at its end
FAILING_NODES = max(1, min(3, round(SCALE)))


def seeded():
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    return random.Random(seed)


# ------------------------------------------------------------------------------------------------------- kills

class Load(threading.Thread):
    """Sends events until it is told to stop, each until it was acknowledged, under the same id."""

    def __init__(self, server, randomly):
        super().__init__(daemon=True)
        self.server, self.randomly = server, randomly
        self.enough, self.wrong = threading.Event(), None
        self.start()

    def run(self):
        try:
            while not self.enough.wait(0.2):
                # Now and then more than goes out at once.
                batch = [self.one() for _ in range(self.randomly.choice([2, 5, 10, 100]))]
                while not self.sent(batch) and not self.enough.wait(0.05):
                    pass
        except Exception as error:  # is the test's, see end()
            self.wrong = error

    def one(self):
        person = f"p-{self.randomly.randrange(20)}"
        shape = self.randomly.choice([
            {"targetType": "ORDER", "targetId": f"o-{self.randomly.randrange(9)}"}, {"targetType": "ORDER"}, {},
            {"targetType": "CUSTOMER", "targetId": person, "subject": person,
             "changes": [{"field": "phone", "old": "1", "new": "2"}]},
            {"detail": {"long": "x" * self.randomly.randrange(10000)}}])
        return event(id=str(uuid.UUID(int=self.randomly.getrandbits(128), version=4)), **shape)

    def sent(self, batch):
        try:
            answer = self.server.post_events(batch)
        except OSError:
            return False
        assert answer.status in (200, 201, 503), answer  # 200: it was there already
        return answer.status != 503

    def end(self):
        self.enough.set()
        self.join()
        assert not self.wrong, self.wrong


class Kills:
    """Ends one thing or several, one after the other, and begins them again. `spans` says when what it ended was not there."""

    def __init__(self, cluster, server, forward, randomly):
        self.cluster, self.client, self.server, self.forward, self.randomly = cluster, cluster.client, server, forward, randomly
        self.spans = []

    def do(self, victims):
        began = time.time()
        for number, victim in enumerate(victims):
            # Long enough that a cursor may be saved while something is away.
            time.sleep(self.randomly.uniform(0.5, 2) if number else self.randomly.uniform(0, 0.5))
            {"forwarder": self.forward.kill, "stopped forwarder": self.forward.stop, "server": self.server.kill,
             "broker": self.cluster.kill}[victim]()
        if "server" in victims:
            self.server.start()
        if "broker" in victims:
            self.cluster.start()
        if self.forward.process.poll() is not None:
            self.check_cursor()
            self.forward.begin()
        self.spans.append((began, time.time()))

    def sent(self):
        return sum(one["high"] for one in self.client("ends", topic=TOPIC))

    def leader(self, partition):
        return self.client("leader", topic=TOPIC, partition=partition)

    def wait_for_more(self, messages):
        stood = self.sent()
        wait_until(lambda: self.sent() > stood + messages, f"more in the topic: {self.forward.errors}")

    def check_cursor(self):
        """It is not beyond what is there."""
        cursor, there = self.forward.cursor(), {index_of(one) for one in self.client.read(TOPIC)}
        missing = {index for index in entries_of(self.server, self.forward.key) if index < cursor} - there
        assert not missing, (cursor, sorted(missing)[:10])

    def check(self):
        """When all was forwarded: it is there, and what is there again came again because something was killed between the
        first time and that. Gives the index that came last, and what came first, by partition."""
        (last,) = post(self.server, event(targetType="BEACON", targetId="b"))
        self.forward.wait_for(last)
        told = self.forward.stop()
        assert told["saved"] and told["next"] > last and told["unacknowledged"] == 0, told
        first, messages = check_whole(self.client, self.server, self.forward.key, last, partitions=PARTITIONS)
        times, again = {}, 0
        for one in messages:
            sent = times.get(index_of(one))
            times[index_of(one)] = one.time
            if sent is None:
                continue
            again += 1
            between = [span for span in self.spans if span[0] <= one.time / 1000 and sent / 1000 <= span[1]]
            assert between, (one, sent, self.spans)
        print(f"{len(times)} entries, {again} messages more, {len(self.spans)} kills")
        return last, first


def killable(context, cluster, randomly):
    """A forwarder under load."""
    cluster.client("make", topics=[TOPIC, "control"], partitions=PARTITIONS)
    server = context.server()
    forward = Forwarder(context, server, cluster.brokers, make_key(server)).begin()
    return Kills(cluster, server, forward, randomly), Load(server, randomly)


def test_whatever_is_killed_every_entry_is_there(context):
    randomly, cluster = seeded(), Cluster(context)
    kills, load = killable(context, cluster, randomly)
    schedule = [["forwarder"], ["stopped forwarder"], ["server"], ["broker", "forwarder"]]
    schedule += [randomly.sample(["forwarder", "server", "broker"], randomly.choice([1, 2, 3])) for _ in range(MORE_KILLS)]
    randomly.shuffle(schedule)
    for victims in schedule:
        kills.wait_for_more(50)
        print(victims)
        kills.do(victims)
    load.end()
    last, first = kills.check()
    # Another one, of which nothing is killed: the same, and nothing comes again.
    server, key = kills.server, kills.forward.key
    control = Forwarder(context, server, cluster.brokers, key, "control", ["--count", str(last + 1)]).begin()
    assert control.wait() == 0 and not control.errors, control.errors
    messages = cluster.client.read("control")
    assert len(messages) == last + 1 and len(first) == PARTITIONS
    for partition, ours in first.items():
        found = [(one.key, one.value, one.headers) for one in ours if index_of(one) <= last]
        assert found == [(one.key, one.value, one.headers) for one in messages if one.partition == partition], partition


def test_leaders_fail(context):
    """Of three nodes one after the other is killed while it leads partitions, and the two that are left go on."""
    randomly, cluster = seeded(), Cluster(context, nodes=3)
    kills, load = killable(context, cluster, randomly)
    for node in randomly.sample(cluster.nodes, FAILING_NODES):
        wait_until(lambda: cluster.client("nodes") == 3, "all nodes")
        kills.wait_for_more(50)
        leads = [partition for partition in range(PARTITIONS) if kills.leader(partition) == node.number]
        began = time.time()
        cluster.kill(node)
        for partition in leads:
            wait_until(lambda: kills.leader(partition) != node.number, "another leader")
        kills.wait_for_more(100)
        cluster.start(node)
        kills.spans.append((began, time.time()))
    load.end()
    kills.check()


def test_what_is_away_is_said_once_and_waited_for(context):
    cluster = Cluster(context)
    cluster.client("make", topics=[TOPIC], partitions=1)
    server = context.server()
    key = make_key(server)
    forward = Forwarder(context, server, cluster.brokers, key).begin()
    forward.wait_for(post(server, event())[-1])
    # The server: it comes back.
    server.kill()
    wait_until(lambda: f"the connection to {server.url}" in forward.errors, "words on the server")
    server.start()
    forward.wait_for(post(server, event())[-1])
    assert forward.errors.count("\n") == 1 and "going on from entry" in forward.errors, forward.errors
    # Kafka: it is ended in the meantime, by two signals at once.
    cluster.kill()
    last = post(server, event(), event())[-1]
    wait_until(lambda: f"{TOPIC}: for 10 s nothing was acknowledged; 2 messages wait" in forward.errors, "words on the brokers")
    forward.process.send_signal(signal.SIGTERM)
    forward.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert forward.wait() == 0 and forward.errors.count("\n") == 2, forward.errors
    assert time.monotonic() - began < FLUSH_SECONDS, "a second signal ends it at once"
    assert forward.told()["unacknowledged"] == 2 and forward.told()["next"] == forward.cursor() == last - 1, forward.told()
    cluster.start()
    forward.begin().wait_for(last)
    forward.stop()
    _, messages = check_whole(cluster.client, server, key, last)
    assert [index_of(one) for one in messages] == list(range(last + 1)), messages


# --------------------------------------------------------------------------------------------------- too large

def test_an_entry_that_is_larger_than_the_topic_takes(context):
    """It ends there and says which one it is; it goes on with a stand-in, or once the topic takes more. Requests that are too
    large of many small messages are no reason."""
    cluster = Cluster(context)
    cluster.client("make", topics=[TOPIC, "skipping", "packed"], partitions=1, config={"max.message.bytes": "20000"})
    server = context.server()
    key = make_key(server)
    small = [event(detail={"text": "x" * 300, "number": number}) for number in range(300)]
    post(server, *small)
    (large,) = post(server, event(detail={"text": "large " * 5000}))
    last = post(server, *small)[-1]
    forward = Forwarder(context, server, cluster.brokers, key).begin()
    assert forward.wait() == 1, forward.errors
    for words in (f"entry {large} has 3", f"more than the topic {TOPIC} takes", "max.message.bytes", "compression.type",
                  "--skip-too-large"):
        assert words in forward.errors, forward.errors
    assert forward.told()["next"] == forward.cursor() == large, forward.told()
    check_whole(cluster.client, server, key, large - 1)
    assert [index_of(one) for one in cluster.client.read(TOPIC)] == list(range(large))
    # With something in its place.
    to_the_end = ["--count", str(last + 1)]
    skipping = Forwarder(context, server, cluster.brokers, key, "skipping", ["--skip-too-large", *to_the_end]).begin()
    assert skipping.wait() == 0, skipping.errors
    assert f"entry {large} has 3" in skipping.errors and "id and index alone" in skipping.errors, skipping.errors
    assert skipping.told()["skipped"] == 1, skipping.told()
    messages, entries = cluster.client.read("skipping"), entries_of(server, key)
    assert [index_of(one) for one in messages] == list(range(last + 1))
    (other,) = [one for one in messages if index_of(one) == large]
    size = dict(other.headers)["vestige.skipped"]
    assert 30000 < int(size) < 31000, other
    assert json.loads(other.value) == {"id": entries[large]["id"], "index": large, "skippedBytes": int(size)}, other
    messages.remove(other)
    check_messages(messages, entries, origin_of(server, key))
    # Compressed it is small enough.
    packed = Forwarder(context, server, cluster.brokers, key, "packed", to_the_end, {"compression.type": "gzip"}).begin()
    assert packed.wait() == 0 and packed.told()["skipped"] == 0, packed.errors
    check_whole(cluster.client, server, key, last, "packed")
    cluster.client("configure", topic=TOPIC, config={"max.message.bytes": "100000"})
    forward.begin().wait_for(last)
    forward.stop()
    check_whole(cluster.client, server, key, last)


def test_nothing_gets_past_an_entry_that_is_too_large(context):
    """Also where it is the very first of a producer, before which brokers know nothing of its numbers."""
    cluster, topics = Cluster(context), [f"first.{number}" for number in range(FIRSTS)]
    cluster.client("make", topics=topics, partitions=1, config={"max.message.bytes": "20000"})
    server = context.server()
    key = make_key(server)
    (large,) = post(server, event(detail={"text": "large " * 5000}))
    last = post(server, *[event(detail={"number": number}) for number in range(300)])[-1]
    for topic in topics:
        forward = Forwarder(context, server, cluster.brokers, key, topic, ["--from", str(large)]).begin()
        assert forward.wait() == 1 and f"entry {large} has" in forward.errors, forward.errors
        there = [index_of(one) for one in cluster.client.read(topic)]
        assert there == [], there
    skipping = ["--from", str(large), "--skip-too-large", "--count", str(last + 1 - large)]
    for topic in topics:
        forward = Forwarder(context, server, cluster.brokers, key, topic, skipping).begin()
        assert forward.wait() == 0 and forward.told()["skipped"] == 1, forward.errors
        assert [index_of(one) for one in cluster.client.read(topic)] == list(range(large, last + 1)), topic


# ------------------------------------------------------------------------------------------------------ topics

def test_a_topic_that_is_missing_or_deleted(context):
    """It ends, says so, and goes on where it stood when there is a topic."""
    cluster = Cluster(context)
    server = context.server()
    key = make_key(server)
    forward = Forwarder(context, server, cluster.brokers, key).begin()
    assert forward.wait() == 1, forward.errors
    assert f"{TOPIC}: Broker: Unknown topic" in forward.errors and "Make the topic" in forward.errors, forward.errors
    cluster.client("make", topics=[TOPIC], partitions=PARTITIONS)
    (stood,) = post(server, event())
    forward.begin().wait_for(stood)
    cluster.client("remove", topics=[TOPIC])
    (last,) = post(server, event())
    assert forward.wait() == 1, forward.errors
    assert f"ends here, at entry {last}," in forward.errors and "Make the topic" in forward.errors, forward.errors
    assert forward.told()["next"] == forward.cursor() == last and forward.told()["unacknowledged"] == 1, forward.told()
    cluster.client("make", topics=[TOPIC], partitions=PARTITIONS)
    forward.begin().wait_for(last)
    forward.stop()
    assert [index_of(one) for one in cluster.client.read(TOPIC)] == [last]


# -------------------------------------------------------------------------------------------------------- masks

def found_in_kafka(cluster, text):
    """Whether a file of the broker has it in clear."""
    return any(text.encode() in file.read_bytes() for file in cluster.nodes[0].folder.glob("data/**/*.log"))


def test_what_the_role_does_not_see_is_not_in_the_topic(context):
    cluster = Cluster(context)
    cluster.client("make", topics=[TOPIC, "open"], partitions=PARTITIONS)
    server = context.server()
    key = make_key(server)
    calls = [event(kind="communication.call", targetType="CALL", targetId=f"call-{number}", subject=f"person-{number}",
                   detail={"call_purpose": "support", "call_summary": "asked about a canary-summary",
                           "customer_phone": "canary-phone", "recording_reference": "canary-recording"})
             for number in range(20)]
    changes = [event(targetType="CUSTOMER", targetId="person-1", subject="person-1",
                     changes=[{"field": "street", "old": "canary-street", "new": "canary-road"}])]
    last = post(server, *calls, *changes)[-1]
    hidden = ["canary-summary", "canary-phone", "canary-recording", "canary-street", "canary-road", "person-1"]
    arguments = ["--count", str(last + 1)]
    forward = Forwarder(context, server, cluster.brokers, key, arguments=arguments).begin()
    assert forward.wait() == 0, forward.errors
    _, messages = check_whole(cluster.client, server, key, last, partitions=PARTITIONS)
    assert sum(MASK.encode() in one.value for one in messages) >= len(calls) + len(changes), messages
    (customer,) = [one for one in messages if b"CUSTOMER" in one.value]
    assert customer.key is None, customer
    for text in hidden:
        assert not any(text in str(one) for one in messages) and not found_in_kafka(cluster, text), text
    # Whoever may see all of it has all of it there: it would have been found.
    opened = Forwarder(context, server, cluster.brokers, server.key, "open", arguments).begin()
    assert opened.wait() == 0, opened.errors
    check_whole(cluster.client, server, server.key, last, "open", PARTITIONS)
    for text in hidden:
        assert found_in_kafka(cluster, text), text


# -------------------------------------------------------------------------------------------------------- loops

def test_a_topic_that_is_captured_gets_nothing(context):
    """Neither one that a capture reads when the forwarder begins, nor one that it begins to read later."""
    cluster = Cluster(context)
    source = Source(context, cluster, [COMMANDS], 1, pattern=r"^bank\.")
    cluster.client("make", topics=[TOPIC, "bank.entries"], partitions=1)
    server = source.server.start()
    key = make_key(server)
    source.client.send(COMMANDS, *[message(command(targetType="ACCOUNT", targetId=f"a-{number}")) for number in range(20)])
    source.catch_up()
    for topic in (COMMANDS, "bank.entries"):
        looped = Forwarder(context, server, cluster.brokers, key, topic).begin()
        assert looped.wait() == 1 and f'capture "bank" of this trail reads the topic {topic} (' in looped.errors, looped.errors
        assert "Forward to another topic" in looped.errors, looped.errors
    assert len(cluster.client.read(COMMANDS)) == 21 and not cluster.client.read("bank.entries")
    # What was captured goes elsewhere on the same cluster.
    last = max(entries_of(server, key))
    forward = Forwarder(context, server, cluster.brokers, key).begin()
    forward.wait_for(last)
    _, messages = check_whole(cluster.client, server, key, last)
    assert sum(b'"topic":"bank.commands"' in one.value for one in messages) == 21
    # From now on the capture reads that as well.
    assert server.stop() == 0
    settings = context.folder / "sources.toml"
    settings.write_text(settings.read_text().replace(json.dumps(r"^bank\."), json.dumps("^(bank|audit)")))
    server.start()
    assert forward.wait() == 1 and f'capture "bank" of this trail reads the topic {TOPIC} (' in forward.errors, forward.errors
    source.catch_up()
    there = cluster.client.read(TOPIC)
    assert not any(json.loads(one.value).get("context", {}).get("topic") == TOPIC for one in there), there
    assert forward.begin().wait() == 1 and "Forward to another topic" in forward.errors, forward.errors
    assert len(cluster.client.read(TOPIC)) == len(there)
