"""Defends: whatever a producer sends, whatever is killed, restarted, taken over or deleted, each command that a real Kafka holds
in a captured topic is on record once, in its partition's order and with its content, or it is a dead letter with an entry that
says why; and where Kafka no longer has what was not read, an entry says from where to where. What the topics hold is told by
kafkajs."""
import os
import random
import time

from command_load import POISON, check_load, respelled
from kafka_parts import Client, Cluster, Source, command, message, wait_until

SCALE = float(os.environ.get("VESTIGE_TEST_SCALE", "1"))
TOPIC = "backoffice.create-audit-log.command.v1"
PATTERN = r"^backoffice\.create-audit-log\.command\.[^.]+$"
PARTITIONS = 4
KILLS = max(2, round(3 * SCALE))
FAILING_NODES = max(2, min(3, round(2 * SCALE)))
UNTAKEN_TOPICS = 5
STOP_SECONDS_MAX = 12  # one letter takes five until it is given up
FLOOD = 3000
FLOOD_SECONDS_MAX = 110


def seeded():
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    return random.Random(seed)


# --------------------------------------------------------------------------------------------------- content

def test_commands_of_every_shape(context):
    """Members of events and others, a time and none, an id and none, headers that are recorded and others, numbers that JSON
    does not hold, a context with members that are the capture's."""
    cluster = Cluster(context)
    source = Source(context, cluster, [TOPIC], PARTITIONS, pattern=PATTERN)
    source.server.start()
    traced = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "producer": "crm", "secret": "no"}
    source.client.send(
        TOPIC,
        message(command(targetType="CUSTOMER", targetId="c-4", subject="c-4", sourceType="CUSTOMER_USER", sourceId="u-17",
                        changes=[{"field": "phone", "old": "1", "new": "2"}], branch="Manila", time="2026-11-24T13:26:35.213Z"),
                headers=traced),
        message({"action": "VIEWED"}, headers={"X-Request-Id": "x" * 1000}),
        message({"action": "VIEWED"}, partition=1),
        message({"action": "VIEWED"}, partition=1, time=1700000000000),
        message(command(context={"topic": "another", "ip": "192.0.2.7"}, detail={"a": [1, {"b": None}]}, extra={"deep": [True]})),
        message(command(kind=None, targetId=None, unknown=None), partition=2),
        message('{"action": "Ünï\\u0063ode", "targetId": "\\ud83d\\ude00", "note": "é"}', key=None, partition=3))
    _, events = source.check()
    dated = [event for event in events if event["context"]["partition"] == 1 and event["context"]["offset"] == 1]
    assert dated[0]["time"] == "2023-11-14T22:13:20.000Z", dated
    # What a double does not hold is kept as text.
    source.client.send(TOPIC, message('{"action": "ADDED", "targetId": "n", "detail": {"n": 12345678901234567890}, "m": 0.1}'))
    counted = wait_until(lambda: source.server.search(targetId="n")["events"], "the number on record")[0]
    assert counted["detail"] == {"n": "12345678901234567890", "original": {"m": 0.1}}, counted
    assert counted["lossless"] == ["/detail/n"], counted


def test_a_transaction_is_on_record_when_it_was_committed(context):
    cluster = Cluster(context)
    source = Source(context, cluster, [TOPIC], 1)
    source.server.start()
    for number, outcome in enumerate(("commit", "abort", "commit")):
        source.client.send(TOPIC, *[message(command(targetId=f"{outcome} {number}")) for _ in range(3)], transaction=outcome)
    messages, events = source.check()
    assert len(messages) == 7 and {event["targetId"] for event in events[:6]} == {"commit 0", "commit 2"}, messages


# ------------------------------------------------------------------------------------------------- duplicates

def test_the_same_ids_again(context):
    """Commands come again, at once or after the server was stopped or killed, in the same partition or another one: each is on
    record once. With another content under the same id they are dead letters."""
    randomly, cluster = seeded(), Cluster(context)
    source = Source(context, cluster, [TOPIC], PARTITIONS)
    known = []
    for end in (source.server.stop, source.server.kill, lambda: None):
        source.server.start()
        batch = []
        for number in range(150):
            partition = randomly.randrange(PARTITIONS)
            if known and randomly.random() < 0.5:
                where, sent = randomly.choice(known)
                if randomly.random() < 0.3:
                    batch.append(message({**sent, "targetId": f"another {number}"}, partition=where, key="poison"))
                else:
                    batch.append(message(respelled(randomly, sent), partition=randomly.choice([where, partition])))
            else:
                sent = command(targetId=f"n {number}", time="2026-11-24T13:26:35.213Z", other={"number": number})
                known.append((partition, sent))
                batch.append(message(sent, partition=partition, headers={"producer": f"p {number}"}))
        source.client.send(TOPIC, *batch)
        wait_until(lambda: len(source.events()) > 10, "the first commands on record")
        end()
    source.check(crashed=True)


def test_the_same_command_again_without_a_time_of_its_own(context):
    """Its producer sends it again later: the message has another timestamp, the command is the same."""
    cluster = Cluster(context)
    source = Source(context, cluster, [TOPIC], 2)
    source.server.start()
    for sent in [command(targetId=f"n {number}") for number in range(5)]:
        for later in range(3):
            source.client.send(TOPIC, message(sent, time=1700000000000 + later * 60000))
    _, events = source.check()
    assert len(events) == 5 + 2, events


# ----------------------------------------------------------------------------------------------------- poison

def test_poison_among_good_commands(context):
    """What is no command goes to dead letters as it came, and whatever stands before and behind it is on record."""
    randomly, cluster = seeded(), Cluster(context, **{"message.max.bytes": "4000000", "replica.fetch.max.bytes": "4000000"})
    source = Source(context, cluster, [TOPIC], PARTITIONS, config={"max.message.bytes": "4000000"})
    source.server.start()
    for _ in range(2):
        batch = [message(value, key=f"poison {number}", partition=randomly.randrange(PARTITIONS),
                         headers={"producer": "bad", "x": ""}) for number, value in enumerate(POISON)]
        batch += [message(command(targetId=f"good {number}"), partition=randomly.randrange(PARTITIONS)) for number in range(200)]
        randomly.shuffle(batch)
        source.client.send(TOPIC, *batch)
    messages, _ = source.check()
    assert source.figure("refused_total") == 2 * len(POISON)
    assert source.figure("rows_total") == len(messages) - 2 * len(POISON) and source.figure("connected") == 1


def test_a_flood_of_poison(context):
    """Thousands of messages that are no commands, in one partition: they go away, and the good ones are on record."""
    cluster = Cluster(context)
    source = Source(context, cluster, [TOPIC], 2)
    batch = [message(f"bad {number}", key="poison") for number in range(FLOOD)]
    batch += [message(command(targetId=f"good {number}"), partition=1) for number in range(FLOOD)]
    source.client.send(TOPIC, *batch)
    source.server.start()
    began = time.monotonic()
    wait_until(lambda: source.figure("refused_total") == FLOOD, "the flood in dead letters", FLOOD_SECONDS_MAX)
    print(f"{FLOOD / (time.monotonic() - began):.0f} refused a second")
    source.check()


def test_a_topic_for_dead_letters_that_is_missing_or_too_narrow(context):
    """The partition of a poisoned command waits and says so, the others go on; when the topic is there, so does it. What the topic
    does not take goes there without its content."""
    cluster = Cluster(context)
    source = Source(context, cluster, [TOPIC], 2, letters=False)
    source.server.start()
    source.client.send(TOPIC, message(command(targetId="before")), message(command(targetId="before"), partition=1))
    wait_until(lambda: len(source.events()) == 2, "the first commands on record")
    source.client.send(TOPIC, message("bad", key="poison"), *[message(command(targetId="behind")) for _ in range(10)],
                       *[message(command(targetId="beside"), partition=1) for _ in range(10)])
    wait_until(lambda: source.server.log.read_text().count(f"{TOPIC}/0 waits at 1,"), "a warning")
    wait_until(lambda: len(source.events()) == 12, "those beside on record")
    assert {event["targetId"] for event in source.events()} == {"before", "beside"}
    wait_until(lambda: source.figure("lag_messages") == 11, "what waits as lag")
    assert source.figure("refused_total") == 0
    source.make_dead_letters()
    source.check()
    wait_until(lambda: source.figure("lag_messages") == 0, "no lag")
    # The topic of commands just takes it; with its reason it is larger.
    large = "x" * 1_048_450
    for each in (message("bad too", key="poison"), message(large, key="poison"), message(command(targetId="last"))):
        source.client.send(TOPIC, each)
    source.check(bare={len(large) + len("poison")})


def test_a_stop_does_not_wait_for_dead_letters(context):
    """Of several topics none takes them, and each attempt takes seconds: a stop comes in between, and what was not sent away is
    after the next start."""
    cluster = Cluster(context)
    topics = [TOPIC.replace("v1", f"v{number}") for number in range(UNTAKEN_TOPICS)]
    source = Source(context, cluster, topics, 1, letters=False)
    source.server.start()
    for topic in topics:
        source.client.send(topic, message("bad", key="poison"))
    wait_until(lambda: source.server.log.read_text().count(" waits at 0,") == len(topics), "all warnings")
    time.sleep(2)  # into the next attempt, of which nobody tells
    began = time.monotonic()
    assert source.server.stop() == 0
    assert time.monotonic() - began < STOP_SECONDS_MAX
    source.make_dead_letters()
    source.server.start()
    source.check(crashed=True)


# ------------------------------------------------------------------------------------------------- rebalances

def test_the_group_changes_under_load(context):
    """Somebody else takes partitions of the group and leaves, the topic gets more of them, another topic comes that the pattern
    means: all of it is on record, and what others told Kafka of the group's place changes nothing."""
    cluster = Cluster(context)
    source = Source(context, cluster, [TOPIC], PARTITIONS, pattern=PATTERN)
    source.server.start()
    source.client("start", topic=TOPIC, partitions=PARTITIONS, commands=5)
    wait_until(lambda: source.events(), "the first commands on record")
    for _ in range(2):
        rebalances = source.figure("rebalances_total")
        taken = source.client("join", group="vestige.bank", topics=[TOPIC])
        wait_until(lambda: source.figure("rebalances_total") > rebalances, "a rebalance")
        assert taken[TOPIC], taken
        acknowledged = source.client("acknowledged")
        wait_until(lambda: source.client("acknowledged") > acknowledged + 200, "more load")
        source.client("leave")
    source.client("grow", topic=TOPIC, partitions=PARTITIONS + 2)
    source.partitions[TOPIC] = PARTITIONS + 2
    other = TOPIC.replace("v1", "v2")
    source.client("make", topics=[other, f"{other}.dlq"], partitions=1)
    source.client.send(other, message(command(targetId="new topic")), message("bad", key="poison"))
    source.topics.append(other)
    source.partitions[other] = 1
    source.catch_up()
    acknowledged = source.client("stop")
    _, events = source.check()
    check_load(events, acknowledged)
    assert {event["context"]["partition"] for event in events} == set(range(PARTITIONS + 2))
    # Others see where it is.
    ends = {str(one["partition"]): one["high"] for one in source.client("ends", topic=TOPIC)}
    wait_until(lambda: source.client("places", group="vestige.bank", topic=TOPIC) == ends, "the group's place in Kafka")


def test_a_partition_that_waited_goes_on_after_a_rebalance(context):
    """It is not fetched from while its dead letter is not taken; when it comes back from somebody else it is."""
    cluster = Cluster(context)
    source = Source(context, cluster, [TOPIC], 2, letters=False)
    source.server.start()
    source.client.send(TOPIC, *[message("bad", key="poison", partition=partition) for partition in range(2)])
    for partition in range(2):
        wait_until(lambda: f"{TOPIC}/{partition} waits at 0," in source.server.log.read_text(), "a warning")
    rebalances = source.figure("rebalances_total")
    source.client("join", group="vestige.bank", topics=[TOPIC])
    source.make_dead_letters()
    source.client("leave")
    wait_until(lambda: source.figure("rebalances_total") >= rebalances + 2, "all partitions back")
    source.check(crashed=True)


def test_a_member_that_nobody_hears_of_is_waited_for_no_longer_than_the_page_says(context):
    """The brokers would believe in it for ten minutes."""
    cluster = Cluster(context)
    source = Source(context, cluster, [TOPIC], 2)
    other = Client(context, cluster.brokers)
    assert other("join", group="vestige.bank", topics=[TOPIC], patience=600_000)[TOPIC] == [0, 1]
    other.process.kill()
    source.server.start()
    source.check()


# ------------------------------------------------------------------------------------------- kills and restarts

def test_kafka_and_the_server_are_killed_under_load(context):
    randomly, cluster = seeded(), Cluster(context)
    source = Source(context, cluster, [TOPIC], PARTITIONS)
    source.server.start()
    source.client("start", topic=TOPIC, partitions=PARTITIONS, commands=5)
    for number in range(KILLS):
        acknowledged = source.client("acknowledged")
        wait_until(lambda: source.client("acknowledged") > acknowledged + 100, "more load")
        source.client.send(TOPIC, message(f"bad {number}", key="poison", partition=number % PARTITIONS))
        time.sleep(randomly.uniform(0, 0.5))
        cluster.kill()
        if number == 0:
            wait_until(lambda: source.figure("connected") == 0, "a server that knows that Kafka is away")
        if randomly.random() < 0.5:
            source.server.kill()
        cluster.start()
        if not source.server.running():
            source.server.start()
        wait_until(lambda: source.figure("connected") == 1, "a connection")
        time.sleep(randomly.uniform(0, 0.5))
        source.server.kill()
        source.server.start()
    acknowledged = source.client("stop")
    _, events = source.check(crashed=True)
    check_load(events, acknowledged)


def test_leaders_fail_under_load(context):
    """Of three nodes one after the other is killed while it leads partitions: the two that are left go on, and all that was
    acknowledged is on record."""
    cluster = Cluster(context, nodes=3)
    source = Source(context, cluster, [TOPIC], PARTITIONS)
    source.server.start()
    source.client("start", topic=TOPIC, partitions=PARTITIONS, commands=5)
    for node in cluster.nodes[:FAILING_NODES]:
        wait_until(lambda: source.client("nodes") == 3, "all nodes")
        leads = [partition for partition in range(PARTITIONS) if leader(source, partition) == node.number]
        cluster.kill(node)
        for partition in leads:
            wait_until(lambda: leader(source, partition) != node.number, "another leader")
        acknowledged, rows = source.client("acknowledged"), source.figure("rows_total")
        wait_until(lambda: source.client("acknowledged") > acknowledged + 100, "load on two nodes")
        wait_until(lambda: source.figure("rows_total") > rows + 100, "commands on record with two nodes")
        cluster.start(node)
    acknowledged = source.client("stop")
    _, events = source.check(crashed=True)
    check_load(events, acknowledged)


def leader(source, partition):
    return source.client("leader", topic=TOPIC, partition=partition)


# -------------------------------------------------------------------------------------------------- retention

def test_what_kafka_no_longer_has_is_a_gap(context):
    """Records are deleted while the server is away: an entry says which offsets those were, exactly; where all that was deleted
    had been read, there is none."""
    cluster = Cluster(context)
    source = Source(context, cluster, [TOPIC], 3)
    source.server.start()
    source.client.send(TOPIC, *[message(command(targetId="read"), partition=partition) for partition in range(3)
                                for _ in range(10)])
    source.catch_up()
    assert source.server.stop() == 0
    lost = [message(command(targetId="lost"), partition=partition) for partition in range(3) for _ in range(20)]
    source.client.send(TOPIC, *lost)
    # Of partition 0 some that were read and some that were not; of 1 all; of 2 those that were read.
    for partition, offset in ((0, 25), (1, 31), (2, 11)):
        source.client("cut", topic=TOPIC, partition=partition, offset=offset)
    source.server.start()
    source.catch_up()
    gaps = [event["detail"] for event in source.about_itself("GAP")]
    wanted = [{"capture": "bank", "cluster": cluster.id, "topic": TOPIC, "partition": partition, "from": "11", "to": to,
               "cause": "offsets_gone"} for partition, to in ((0, "25"), (1, "31"))]
    assert sorted(gaps, key=lambda gap: gap["partition"]) == wanted, gaps
    assert source.figure("gaps_total") == 2
    found = {partition: [event["context"]["offset"] for event in source.events() if event["context"]["partition"] == partition]
             for partition in range(3)}
    assert found == {0: [*range(11), *range(25, 32)], 1: [*range(11), 31], 2: [*range(32)]}, found


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(context):
    """It is deleted and made again while the server is away, and has less, as much and more than was read of it: an entry for each
    partition says so, and all that the new one has is on record. After that it goes on as any other."""
    cluster = Cluster(context)
    source = Source(context, cluster, [TOPIC], 4)
    source.server.start()
    source.client.send(TOPIC, *[message({"action": "VIEWED", "targetId": "before"}, partition=partition) for partition in range(3)
                                for _ in range(10)])
    source.catch_up()
    assert source.server.stop() == 0
    source.client("remove", topics=[TOPIC])
    source.client("make", topics=[TOPIC], partitions=4)
    there = {0: 5, 1: 11, 2: 30, 3: 1}
    # Another producer: one that knew the old topic may send twice.
    Client(context, cluster.brokers).send(TOPIC, *[message({"action": "VIEWED", "targetId": "after"}, partition=partition)
                                                   for partition in there for _ in range(there[partition])])
    assert {end["partition"]: end["high"] for end in source.client("ends", topic=TOPIC)} == there
    for beacons in (1, 2):
        source.server.start()
        source.catch_up()
        gaps = [event["detail"] for event in source.about_itself("GAP")]
        wanted = [{"capture": "bank", "cluster": cluster.id, "topic": TOPIC, "partition": partition, "from": "11" if partition < 3 else "1",
                   "to": "0", "cause": "offsets_moved"} for partition in there]
        assert sorted(gaps, key=lambda gap: gap["partition"]) == wanted, gaps
        found = {partition: [event["context"]["offset"] for event in source.events() if event["context"]["partition"] == partition]
                 for partition in there}
        assert found == {partition: [*range(11 if partition < 3 else 1), *range(there[partition] + beacons)] for partition in there}, found
        assert source.server.stop() == 0
