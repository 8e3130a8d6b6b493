"""What is sent onto a captured topic in quantity: commands for as long as a test likes, by the load of client.mjs, and among
them what is none, what comes again, and what has no id."""
import json
import random

from kafka_parts import command, message, wait_until

COMMANDS_AT_ONCE = 3
POISON_A_PARTITION = 5
POISON_BYTES_MAX = 100_000    # what any topic takes


def deep(levels):
    return "[" * levels + "]" * levels


POISON = [
    None, b"", b" ", b"not JSON", b'{"action": "CUT', b'{"action": "TWICE"} {}', b'["action"]', b'"action"', b"null", b"42",
    b"\xff\xfe", b'{"action": "\xc3"}', b'\xef\xbb\xbf{"action": "BOM"}', b'{"action": NaN}', b"{}", b'{"targetId": "c-4"}',
    b'{"action": 42}', b'{"action": ""}', b'{"action": null}', b'{"action": "X", "action": "Y"}', b'{"action": "X", "id": "c-4"}',
    b'{"action": "X", "id": 4}', b'{"action": "X", "kind": "no.such.kind"}', b'{"action": "X", "kind": "system.capture"}',
    b'{"action": "X", "time": "yesterday"}', b'{"action": "X", "changes": {"field": "phone"}}',
    b'{"action": "X", "context": "here"}', b'{"action": "X", "detail": "here"}', b'{"action": "X", "targetId": {}}',
    b'{"action": "X", "detail": {"original": 1}, "other": 2}',
    ('{"action": "X", "detail": {"a": ' + deep(5000) + "}}").encode(), b'{"action": "' + b"x" * 1_200_000 + b'"}',
]


def respelled(randomly, sent):
    """The same command with its members in another order, and other blanks."""
    members = list(sent.items())
    randomly.shuffle(members)
    return json.dumps(dict(members), indent=randomly.choice([None, 1]))


def among_commands(randomly, partition):
    """Messages that may be sent again and again, in this order: two commands whose first occurrence alone is on record, one that
    is an event each time, and what is refused each time, such as another command under an id that is known."""
    known = [command(targetType="KNOWN", targetId=f"{partition}/{number}", note={"number": number}) for number in range(2)]
    poison = [value for value in POISON if len(value or b"") <= POISON_BYTES_MAX]
    others = [message({"action": "VIEWED", "targetType": "NAMELESS", "other": [partition]}, partition=partition),
              message({**known[0], "note": "another"}, partition=partition, key="poison"),
              *[message(respelled(randomly, sent), partition=partition) for sent in known],
              *[message(value, partition=partition, key="poison") for value in randomly.sample(poison, POISON_A_PARTITION)]]
    randomly.shuffle(others)
    return [*[message(sent, partition=partition) for sent in known], *others]


class CommandLoad:
    """Is sent while the block runs, to each partition of the source's topic. After it all of that is acknowledged:
    `acknowledged` commands, and `among` of the others."""

    def __init__(self, source, randomly, pause_seconds_max):
        self.source, self.acknowledged, self.among, self.pause_seconds_max = source, 0, 0, pause_seconds_max
        self.random = random.Random(randomly.getrandbits(64))

    def __enter__(self):
        topic, = self.source.topics
        partitions = self.source.partitions[topic]
        self.source.client("start", topic=topic, partitions=partitions, commands=COMMANDS_AT_ONCE,
                           pauseMillisecondsMax=self.pause_seconds_max * 1000,
                           among=[one for partition in range(partitions) for one in among_commands(self.random, partition)])
        return self

    def __exit__(self, wrong, *_):
        if not wrong:
            self.acknowledged = self.source.client("stop")
            self.among = self.source.client("acknowledgedAmong")

    def done(self):
        return self.source.client("acknowledged")

    def wait_for(self, count):
        """Until so many commands are acknowledged."""
        wait_until(lambda: self.done() >= count, f"{count} commands acknowledged")

    def check(self, messages, events):
        """What was acknowledged is there: in the topic, and on record in the order in which it was numbered."""
        check_load(events, self.acknowledged)
        sent = {value for one in messages for name, value in one.headers if name == "producer"}
        assert len(sent) == self.among > 0, (len(sent), self.among)


def check_load(events, acknowledged):
    """What the load of client.mjs had acknowledged is there, as many and in the order in which it was numbered."""
    numbers = {}
    for event in events:
        if event.get("targetType") == "LOAD":
            numbers.setdefault(event["targetId"], []).append(event["detail"]["number"])
    assert acknowledged > 0 and sum(map(len, numbers.values())) == acknowledged, (acknowledged, numbers)
    assert all(found == list(range(len(found))) for found in numbers.values()), numbers
