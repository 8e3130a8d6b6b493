"""What the tests of `vestige forward kafka` share: the command as a process, a key with the role that docs/operating/forward.md
gives it, and what a topic has to hold of a trail, by what the API gives the same key and kafkajs reads.
"""
import collections
import json
import signal

import harness
from api_parts import ask
from kafka_parts import encoded, wait_until

TOPIC = "audit.entries"
MASK = "•••"
POLICY = "/api/access/policy"
ROLE = {"title": "Forwarder", "about": "Hands the trail on.", "grants": [
    {"operations": ["searchEvents", "streamEvents"], "bulk": True}, {"operations": ["readCursor", "saveCursor"]}]}
# So that nobody waits long for what takes a while by default: to try a broker again, to see that a topic is gone.
QUICK = {"reconnect.backoff.max.ms": "500", "topic.metadata.refresh.interval.ms": "500",
         "topic.metadata.propagation.max.ms": "2000"}
END_SECONDS_MAX = 60


def make_key(server):
    """Of the role of a forwarder, which sees no personal value."""
    policy = ask(server, "GET", POLICY).json()
    policy["policy"]["roles"]["forwarder"] = ROLE
    changed = ask(server, "PUT", POLICY, {"version": policy["version"], "policy": policy["policy"]})
    assert changed.status == 200, changed
    made = ask(server, "POST", "/api/keys", {"name": "forwarder", "role": "forwarder"})
    assert made.status == 201, made
    return made.json()["key"]


def revoke_key(server):
    """The one that make_key made."""
    (key,) = [key for key in ask(server, "GET", "/api/keys").json()["keys"] if key.get("role") == "forwarder"]
    assert ask(server, "DELETE", f"/api/keys/{key['id']}").status == 204


class Forwarder:
    """One command line. It may be ended and begun again; what each run of it said is kept."""

    def __init__(self, context, server, brokers, key, topic=TOPIC, arguments=(), options=None, options_file=None):
        self.context, self.server, self.key, self.topic = context, server, key, topic
        self.line = [harness.BINARY, "forward", "kafka", "--brokers", brokers, "--topic", topic, *arguments]
        for name, value in {**QUICK, **(options or {})}.items():
            self.line += ["--option", f"{name}={value}"]
        if options_file:
            self.line += ["--options-file", options_file]
        self.process, self.runs = None, 0

    def begin(self):
        self.runs += 1
        environment = harness.clean_environment({"VESTIGE_KEY": self.key, "VESTIGE_URL": self.server.url})
        with open(self.file("said"), "wb") as said, open(self.file("errors"), "wb") as errors:
            self.process = self.context.spawn(self.line, stdout=said, stderr=errors, env=environment)
        return self

    def file(self, what):
        return self.context.folder / f"{self.topic}.{self.runs}.{what}"

    @property
    def errors(self):
        return self.file("errors").read_text()

    def wait(self):
        """Until it ends by itself. Gives its exit status."""
        return self.process.wait(END_SECONDS_MAX)

    def told(self):
        """What it said at its end of how far it came."""
        return json.loads(self.file("said").read_text())

    def stop(self):
        """As an operator does; it ends in order."""
        self.process.terminate()
        assert self.wait() == 0, self.errors
        return self.told()

    def kill(self):
        self.process.kill()
        assert self.wait() == -signal.SIGKILL, self.errors

    def cursor(self):
        """The saved one; 0 where none was saved."""
        answer = self.server.request("GET", f"/api/cursors/forward.{self.topic}", key=self.key)
        assert answer.status in (200, 404), answer
        return answer.json()["next"] if answer.status == 200 else 0

    def wait_for(self, index):
        """Until the entry is said to be in the topic."""
        def came():
            assert self.process.poll() is None, (self.process.returncode, self.errors)
            return self.cursor() > index
        wait_until(came, f"entry {index} forwarded")


def post(server, *events):
    """Gives their indexes."""
    answer = server.post_events(list(events))
    assert answer.status == 201, answer
    return [each["index"] for each in answer.json()["events"]]


def entries_of(server, key):
    """All that the API gives this key, by index."""
    found, cursor = {}, None
    while True:
        search = {"order": "asc", "limit": 1000, **({"cursor": cursor} if cursor else {})}
        answer = ask(server, "POST", "/auditlog/events/v2", search, key=key)
        assert answer.status == 200, answer
        found |= {entry["index"]: entry for entry in answer.json()["events"]}
        cursor = answer.json()["cursor"]
        if cursor is None:
            return found


def origin_of(server, key):
    return server.request("GET", "/tlog/default/audit/vkey", key=key).body.decode().partition("+")[0]


def key_of(entry):
    """What a message's key has to be, by the page."""
    kind, identity = entry.get("targetType"), entry.get("targetId")
    return f"{kind}/{identity}".encode() if kind and identity and MASK not in (kind, identity) else None


def index_of(message):
    return int(dict(message.headers)["vestige.index"])


def check_messages(messages, entries, origin):
    """Each is an entry as the API gives it, with its key and headers."""
    for message in messages:
        entry = entries[index_of(message)]
        assert json.loads(message.value) == entry, (message, entry)
        assert message.key == key_of(entry), (message, entry)
        assert message.headers == [["vestige.origin", origin], ["vestige.index", str(entry["index"])],
                                   ["vestige.id", entry["id"]], ["vestige.tenant", "default"]], message


def first_ones(messages):
    """Without what came again, by partition; their indexes grow."""
    found = collections.defaultdict(list)
    for message in messages:
        ours = found[message.partition]
        if not ours or index_of(message) > index_of(ours[-1]):
            ours.append(message)
    return found


def check_partitions(client, first, partitions):
    """Each key is where Java's clients put it, and those without one are in one place."""
    everything = [message for messages in first.values() for message in messages]
    keys = sorted({message.key for message in everything if message.key is not None})
    placed = dict(zip(keys, client("placed", keys=[encoded(key) for key in keys], partitions=partitions)))
    assert all(placed[message.key] == message.partition for message in everything if message.key is not None)
    assert len({message.partition for message in everything if message.key is None}) <= 1, first


def check_whole(client, server, key, up_to, topic=TOPIC, partitions=1):
    """Every entry up to this index is in the topic, as it is, for the first time in order; nothing else is. Gives what came
    first, by partition, and the messages."""
    messages, entries = client.read(topic), entries_of(server, key)
    check_messages(messages, entries, origin_of(server, key))
    first = first_ones(messages)
    check_partitions(client, first, partitions)
    there = {index_of(message) for ours in first.values() for message in ours}
    assert there == {index_of(message) for message in messages}, "one came for the first time behind a later one"
    missing = {index for index in entries if index <= up_to} - there
    assert not missing and up_to in entries, (up_to, sorted(missing)[:10])
    return first, messages
