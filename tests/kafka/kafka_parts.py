"""What the tests of this folder share: a Kafka cluster of a test's own (tools/kafka_broker.py), a client that is not ours
(client.mjs), a source that captures, and the comparison of the trail with what the topics hold.

What the topics hold is told by kafkajs, which reads them from the beginning; what has to be on record of it is said by a model
of docs/formats/capture.md that knows nothing of the server. What has to be refused has a key that begins with "poison".
"""
import base64
import collections
import datetime
import json
import os
import select
import shlex
import subprocess
import sys
import time
import uuid

import harness
import prepare
from api_parts import canonical
from capture_parts import serve_together, toml

sys.path.insert(0, str(harness.ROOT / "tools"))
import kafka_broker  # noqa: E402

CATCH_UP_SECONDS_MAX = 120
CALL_SECONDS_MAX = 120
HEADERS = ("traceparent", "trace-id", "trace_id", "traceId", "X-B3-TraceId", "X-Request-Id", "producer")
MEMBERS = ("action", "changes", "context", "detail", "kind", "sourceEntityMeta", "sourceId", "sourceType", "subject",
           "targetEntityMeta", "targetId", "targetType", "time")
MEMBERS_OF_CONTEXT = ("capture", "headers", "offset", "partition", "topic")
ADDED = ("node", "service")  # to the context of every event, by the server
# So that nobody waits long for what takes a while by default: to see a new topic, to give up a member that was killed, also where
# the brokers do not know any more when it was last heard of.
QUICK = {"topic.metadata.refresh.interval.ms": "500", "session.timeout.ms": "3000", "heartbeat.interval.ms": "300",
         "max.poll.interval.ms": "20000", "reconnect.backoff.max.ms": "500"}

# Kafka's archive has a shell script for each of its programs.
PROGRAMS = {"kafka-storage": "kafka.tools.StorageTool", "kafka-server-start": "kafka.Kafka",
            "kafka-topics": "org.apache.kafka.tools.TopicCommand", "kafka-acls": "org.apache.kafka.tools.AclCommand",
            "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
            "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
            "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"}


class Cluster(kafka_broker.Cluster):
    """Runs, with a client, until the test ends."""

    def __init__(self, context, nodes=1, doors=None, **settings):
        ports = [(harness.free_port(), harness.free_port()) for _ in range(nodes)]
        super().__init__(context.folder / "kafka", prepare.JARS, ports, {"group.min.session.timeout.ms": "1000", **settings}, doors)
        context.at_end(self.remove)
        self.create().start()
        self.client = Client(context, self.brokers)
        wait_until(lambda: self.client("nodes") == nodes, f"a cluster of {nodes} nodes")


class Client:
    """client.mjs: what it is called with is a request, what it gives is the result."""

    def __init__(self, context, brokers):
        with open(context.folder / "client.log", "ab") as log:
            self.process = context.spawn(["node", prepare.CLIENT / "client.mjs", brokers], stdin=subprocess.PIPE, stderr=log,
                                         stdout=subprocess.PIPE, bufsize=0)

    def __call__(self, do, **fields):
        self.process.stdin.write(json.dumps({"do": do, **fields}).encode() + b"\n")
        answer, deadline = b"", time.monotonic() + CALL_SECONDS_MAX
        while not answer.endswith(b"\n"):
            readable, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            assert readable, f"{do} was not answered within {CALL_SECONDS_MAX} s"
            part = os.read(self.process.stdout.fileno(), 1 << 20)
            assert part, f"the client ended at {do}"
            answer += part
        answer = json.loads(answer)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def send(self, topic, *messages, **options):
        return self("send", topic=topic, messages=messages, **options)

    def read(self, *topics):
        found = [Message(**{**message, "key": decoded(message["key"]), "value": decoded(message["value"])})
                 for message in self("read", topics=topics)]
        return sorted(found, key=lambda message: (message.topic, message.partition, message.offset))


Message = collections.namedtuple("Message", "topic partition offset key value time headers")


def decoded(text):
    return None if text is None else base64.b64decode(text)


def encoded(data):
    return None if data is None else base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def message(value, key="good", partition=0, **more):
    """One that Client.send takes; `value` is a command, a text, bytes or None."""
    text = json.dumps(value) if isinstance(value, dict) else value
    return {"partition": partition, "key": encoded(key), "value": encoded(text), **more}


def command(**members):
    return {"id": str(uuid.uuid4()), "action": "UPDATED", **members}


def wait_until(holds, what, seconds_max=CATCH_UP_SECONDS_MAX):
    """Gives what `holds` gives once that is true."""
    deadline = time.monotonic() + seconds_max
    while not (found := holds()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds_max} s"
        time.sleep(0.05)
    return found


def write_programs(folder):
    """Kafka's commands, as a reader of the documentation has them on the PATH."""
    for name, main in PROGRAMS.items():
        program = folder / f"{name}.sh"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(kafka_broker.java(prepare.JARS, main, level="warn"))} "$@"\n')
        program.chmod(0o755)


# --------------------------------------------------------------------------------------------------- the model

def written(milliseconds):
    """A time as the trail writes it."""
    moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_of(message, name):
    """What a good message has to be in the trail."""
    told = {member: value for member, value in json.loads(message.value).items()
            if value is not None or member not in (*MEMBERS, "id")}
    context = told.pop("context", {})
    event = {"kind": "data.change", "time": written(message.time),
             **{member: value for member, value in told.items() if member in MEMBERS}}
    rest = {member: value for member, value in told.items() if member not in MEMBERS and member != "id"}
    moved = {member: value for member, value in context.items() if member in MEMBERS_OF_CONTEXT}
    if moved:
        rest["context"] = moved
    if rest:
        event["detail"] = {**event.get("detail", {}), "original": rest}
    event["context"] = {**{member: value for member, value in context.items() if member not in moved}, "capture": name,
                        "topic": message.topic, "partition": message.partition, "offset": message.offset}
    headers = {header: value for header, value in message.headers if header in HEADERS}
    if headers:
        event["context"]["headers"] = headers
    return event, told.get("id")


class Expected:
    """What has to be on record of the messages of some topics: `events` has by id (or, where a command has none, by its place)
    the places of which one is on record, with its event; `refused` are the messages that are dead letters."""

    def __init__(self, messages, name):
        self.events, self.refused = {}, []
        contents = {}
        for message in messages:
            place = (message.topic, message.partition, message.offset)
            if (message.key or b"").startswith(b"poison"):
                self.refused.append(message)
                continue
            event, identity = event_of(message, name)
            candidates = self.events.setdefault(identity or place, {})
            content = contents.setdefault(identity, json.loads(message.value)) if identity else None
            if content != (json.loads(message.value) if identity else None):
                assert {known[:2] for known in candidates} == {place[:2]}, "between partitions it is open which one is refused"
                self.refused.append(message)
            elif not any(known[:2] == place[:2] for known in candidates):
                candidates[place] = event

    def lines(self):
        """What recorded_lines() has to find, where each id is in one partition alone."""
        events = [event for candidates in self.events.values() for event in candidates.values()]
        assert len(events) == len(self.events), "between partitions it is open which one is on record"
        return [canonical(event) for event in events] + [
            refusal_line(one.topic, one.partition, one.offset) for one in self.refused]


def told_of(event):
    """All that an event says of its command."""
    told = {member: value for member, value in event.items() if member in MEMBERS}
    return {**told, "context": {member: value for member, value in event["context"].items() if member not in ADDED}}


def recorded_lines(events, refused):
    """One of canonical JSON for each event, with its place, and one for each entry REFUSED."""
    return [canonical(told_of(event)) for event in events] + [refusal_line(*place_of_refused(entry)) for entry in refused]


def place_of_refused(entry):
    return entry["detail"]["topic"], entry["detail"]["partition"], int(entry["detail"]["offset"])


def refusal_line(topic, partition, offset):
    return canonical(["REFUSED", topic, partition, offset])


class Source:
    """Topics that are captured, and the trail's word on them. Their server is as that of capture_parts.Source."""

    def __init__(self, context, cluster, topics, partitions=4, name="bank", pattern=None, letters=True, config=None,
                 alone=True):
        self.client, self.name, self.config = cluster.client, name, config
        self.topics, self.partitions = list(topics), {topic: partitions for topic in topics}
        self.client("make", topics=self.topics, partitions=partitions, config=config)
        if letters:
            self.make_dead_letters()
        self.beacons = 0
        self.members = {"name": name, "brokers": cluster.brokers, "topics": pattern or self.topics, "options": QUICK}
        self.server = serve_together(context, [self]) if alone else None

    def configuration(self):
        return "[[capture.kafka]]\n" + "".join(f"{name} = {toml(value)}\n" for name, value in self.members.items())

    def make_dead_letters(self):
        self.client("make", topics=[f"{topic}.dlq" for topic in self.topics], partitions=1, config=self.config)

    def figure(self, figure):
        """Of /metrics, as a number; None where it is not there."""
        begin = f'vestige_capture_{figure}{{capture="{self.name}"}} '
        lines = self.server.request("GET", "/metrics").body.decode().split("\n")
        return next((int(line.removeprefix(begin)) for line in lines if line.startswith(begin)), None)

    def catch_up(self):
        """Waits until all that was sent so far is on record or refused: what comes last in each partition is there."""
        self.beacons += 1
        for topic in self.topics:
            names = [f"{topic}/{partition}/{self.beacons}" for partition in range(self.partitions[topic])]
            self.client.send(topic, *[message(command(targetType="BEACON", targetId=name), partition=partition)
                                      for partition, name in enumerate(names)])
            for name in names:
                wait_until(lambda: self.server.search(targetType=["BEACON"], targetId=name)["events"], f"the beacon {name} on record")

    def events(self):
        return self.server.search_all(filter={"field": "context.capture", "equals": self.name}, order="asc", limit=1000)

    def about_itself(self, action):
        return self.server.search_all(filter={"and": [{"field": "kind", "equals": "system.capture"},
                                                      {"field": "action", "equals": action},
                                                      {"field": "detail.capture", "equals": self.name}]}, order="asc", limit=1000)

    def check(self, crashed=False, gaps=0, bare=()):
        """All that the topics hold is on record, once, in order, with its content, or refused, with a dead letter and an entry;
        and nothing else is. Dead letters of messages of so many bytes as `bare` says have none of them. Gives the messages and the
        events."""
        self.catch_up()
        messages, events = self.client.read(*self.topics), self.events()
        self.check_all(Expected(messages, self.name), events, crashed, gaps, bare)
        return messages, events

    def check_all(self, expected, events, crashed=False, gaps=0, bare=()):
        self.check_events(events, expected)
        self.check_refused(expected.refused, crashed, bare)
        assert len(self.about_itself("GAP")) == gaps, self.about_itself("GAP")
        self.check_covered()

    def check_covered(self):
        """Of each partition the intervals that are said to be on record or lost follow one upon the other, from its beginning."""
        covered = {}
        for entry in sorted(self.about_itself("COVERED") + self.about_itself("GAP"), key=lambda entry: entry["index"]):
            for told in entry["detail"].get("partitions", [entry["detail"]]):
                place = (told["topic"], told["partition"])
                assert told["from"] == covered.get(place, "0"), (told, covered)
                covered[place] = told["to"]

    def check_events(self, events, expected):
        """In each partition in the order of offsets; each expected one once."""
        last, seen = {}, set()
        for event in events:
            context = event["context"]
            place = (context["topic"], context["partition"], context["offset"])
            assert last.get(place[:2], -1) < place[2], (event, last[place[:2]])
            last[place[:2]] = place[2]
            identity = event["id"] if event["id"] in expected.events else place
            assert place in expected.events.get(identity, {}), ("nobody sent this", event)
            assert identity not in seen, ("is there twice", event)
            seen.add(identity)
            self.check_content(event, expected.events[identity][place])
        missing = expected.events.keys() - seen
        assert not missing, (len(missing), "are not on record, such as", [expected.events[one] for one in list(missing)[:3]])

    @staticmethod
    def check_content(event, wanted):
        assert told_of(event) == wanted, (told_of(event), wanted)

    def check_refused(self, refused, crashed, bare):
        """Entries once and in order; dead letters as the messages came, and once too unless something was killed in between."""
        entries = self.about_itself("REFUSED")
        places = [place_of_refused(entry) for entry in entries]
        assert sorted(places) == sorted((one.topic, one.partition, one.offset) for one in refused), (places, refused)
        for topic, partition in {place[:2] for place in places}:
            offsets = [place[2] for place in places if place[:2] == (topic, partition)]
            assert offsets == sorted(offsets), entries
        reasons = {place: entry["detail"]["reason"] for place, entry in zip(places, entries)}
        letters = self.client.read(*[f"{topic}.dlq" for topic in self.topics])
        told = collections.Counter()
        originals = {(one.topic, one.partition, one.offset): one for one in refused}
        for letter in letters:
            ours = dict(map(tuple, letter.headers[-4:]))
            place = (ours["vestige.topic"], int(ours["vestige.partition"]), int(ours["vestige.offset"]))
            original = originals[place]
            size = len(original.key) + len(original.value or b"")
            came = (None, None, [["vestige.bytes", str(size)]]) if size in bare else (*original[3:5], original.headers)
            assert (*letter[3:5], letter.headers[:-4]) == came and letter.topic == f"{original.topic}.dlq", (letter, original)
            assert ours["vestige.reason"] == reasons[place], (letter, original)
            told[place] += 1
        assert told.keys() == originals.keys() and (crashed or set(told.values()) <= {1}), (told, originals.keys())
