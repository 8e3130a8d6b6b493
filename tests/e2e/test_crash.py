"""Defends: `kill -9` at any moment under load loses no acknowledged event and invents none. What was acknowledged
keeps content, index and leaf; a batch that was not is there whole or not at all; every tree head that was ever
shown, signed or not, is one of the final tree; a restart takes seconds; both verifiers find all well.

One data directory lives through all rounds. Segments are small and some rounds send long events, so that kills fall
into sealing, into recycling of log files, and into recovery itself."""
import base64
import hashlib
import http.client
import json
import os
import random
import sys
import threading
import time
import uuid

import harness
import verifiers

sys.path.insert(0, str(harness.ROOT / "tools"))
from vestige_verify.merkle import Tree  # noqa: E402

SCALE = float(os.environ.get("VESTIGE_TEST_SCALE", "1"))
ROUNDS = max(10, round(100 * SCALE))
VERIFY_EVERY, VERIFY_BOTH_EVERY = 10, 30
CLIENTS = 3
BATCH_EVENTS_MAX = 40
PAUSE_SECONDS_MAX = 0.03
HEAVY_EVERY = 20  # every so many rounds there are no pauses and long events, until a log file is full
LONG_TEXT = "a line that repeats itself so that segments stay small; " * 400
HEAVY_SECONDS_MAX = 5.0
START_SECONDS_MAX = 10.0  # on a busy machine; usually it is a fraction of one
ENVIRONMENT = {"VESTIGE_SEGMENT_ROWS_MAX": "4096", "VESTIGE_WAL_BYTES_MAX": "128MiB"}
SENT = ("id", "kind", "action", "targetType", "targetId", "sourceId", "detail")


class Batch:
    """Events that were sent in one request, and what came back. `receipts` stays None where nothing did."""

    def __init__(self, events):
        self.events, self.receipts = events, None


class Client(threading.Thread):
    """Sends batch after batch over one connection, until the server is gone."""

    def __init__(self, server, round_number, heavy, long, seed):
        super().__init__(daemon=True)
        self.server, self.round, self.random = server, round_number, random.Random(seed)
        self.heavy, self.long, self.key = heavy, long, server.key
        self.batches, self.odd = [], []

    def make_events(self):
        count = self.random.choice([1, self.random.randint(2, BATCH_EVENTS_MAX), BATCH_EVENTS_MAX])
        return [{"id": str(uuid.UUID(int=self.random.getrandbits(128), version=4)), "kind": "data.change",
                 "action": self.random.choice(["CREATED", "UPDATED", "DELETED"]), "targetType": "ACCOUNT",
                 "targetId": f"a-{self.random.randrange(1000)}", "sourceId": f"u-{self.random.randrange(50)}",
                 "detail": {"round": self.round, "note": LONG_TEXT if self.long else self.random.randbytes(30).hex()}}
                for _ in range(count)]

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        head = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            while True:
                batch = Batch(self.make_events())
                body = json.dumps(batch.events)
                self.batches.append(batch)
                connection.request("POST", "/api/events", body, head)
                answer = connection.getresponse()
                data = answer.read()
                if answer.status == 201:
                    batch.receipts = json.loads(data)["events"]
                elif answer.status != 503:  # of a full queue; nothing of it is kept
                    self.odd.append((answer.status, data[:500]))
                if not self.heavy:
                    time.sleep(self.random.uniform(0, PAUSE_SECONDS_MAX))
        except (OSError, http.client.HTTPException):
            pass  # the kill
        finally:
            connection.close()


class Watcher(threading.Thread):
    """Collects the checkpoints that are published meanwhile."""

    def __init__(self, server, heads):
        super().__init__(daemon=True)
        self.server, self.heads, self.key = server, heads, server.key

    def run(self):
        try:
            while True:
                answer = self.server.request("GET", "/tlog/default/audit/checkpoint", key=None, seconds_max=10)
                if answer.status == 200:
                    add_checkpoint(self.heads, answer.body)
                time.sleep(0.02)
        except (OSError, ValueError):
            pass  # the kill


def add_checkpoint(heads, note):
    _, size, root = note.decode().split("\n")[:3]
    add_head(heads, int(size), root)


def add_head(heads, size, root):
    assert heads.setdefault(size, root) == root, f"two roots were shown for size {size}: {heads[size]} and {root}"


class Trail:
    """What must be in the trail, and what is known to be."""

    def __init__(self):
        self.sent, self.batches = {}, []
        self.heads = {}  # size -> root, of all that the server ever showed
        self.leaves = []  # by index, of all that was read back
        self.partly = {"present": 0, "absent": 0}  # batches without an answer

    def take_round(self, clients):
        fresh = [batch for client in clients for batch in client.batches]
        for batch in fresh:
            for event in batch.events:
                self.sent[event["id"]] = event
        self.batches += fresh
        for client in clients:
            assert not client.odd, client.odd
        return fresh

    def read_new(self, server, first):
        """Events from index `first` on, in order, by index."""
        found, cursor = {}, None
        while True:
            page = server.search(limit=500, order="desc", **({"cursor": cursor} if cursor else {}))
            if page["tree"]["size"]:
                add_head(self.heads, page["tree"]["size"], page["tree"]["root"])
            for event in page["events"]:
                found[event["index"]] = event
            cursor = page["cursor"]
            if cursor is None or page["events"][-1]["index"] <= first:
                return {index: found[index] for index in sorted(found) if index >= first}

    def check_events(self, found):
        """Nothing is there that nobody sent, and what was sent has its content."""
        for index, event in found.items():
            if event["kind"].startswith("system."):
                continue
            assert event["id"] in self.sent, f"entry {index} was sent by nobody: {event}"
            sent = self.sent[event["id"]]
            differing = [name for name in SENT if event.get(name) != sent[name]]
            assert not differing, f"entry {index} differs in {differing} from what was sent: {event}"

    def check_batches(self, batches, found):
        places = {event["id"]: event for event in found.values()}
        assert len(places) == len(found), "an id is there twice"
        for batch in batches:
            there = [places.get(event["id"]) for event in batch.events]
            if batch.receipts is None:
                assert all(there) or not any(there), f"{sum(map(bool, there))} of {len(there)} events of one batch"
                self.partly["present" if all(there) else "absent"] += 1
                continue
            for event, receipt, kept in zip(batch.events, batch.receipts, there):
                assert kept, f"event {event['id']} was acknowledged as entry {receipt['index']} and is not there"
                assert (receipt["id"], receipt["index"], receipt["leaf"]) == (event["id"], kept["index"], kept["leaf"]), (
                    receipt, kept)

    def check_round(self, server, batches):
        first = len(self.leaves)
        found = self.read_new(server, first)
        assert list(found) == list(range(first, first + len(found))), f"indexes from {first} have gaps"
        self.check_events(found)
        self.check_batches(batches, found)
        self.leaves += [base64.b64decode(event["leaf"]) for event in found.values()]
        for event in random.Random(first).sample(list(found.values()), min(3, len(found))):
            sealed = server.request("GET", f"/api/events/{event['id']}/sealed")
            assert sealed.status == 200, sealed
            assert base64.b64encode(hashlib.sha256(b"\0" + sealed.body).digest()).decode() == event["leaf"], event

    def check_everything(self, server):
        """From the first entry on, also what earlier rounds had seen."""
        found = self.read_new(server, 0)
        assert list(found) == list(range(len(found))) and len(found) >= len(self.leaves)
        self.check_events(found)
        partly = dict(self.partly)
        self.check_batches(self.batches, found)
        self.partly = partly
        leaves = [base64.b64decode(event["leaf"]) for event in found.values()]
        assert leaves[:len(self.leaves)] == self.leaves, "a leaf has changed"
        self.leaves = leaves
        self.check_heads()

    def check_heads(self):
        """The tree only grew: every head that was shown is one of it."""
        tree, checked = Tree(), 0
        for leaf in self.leaves:
            tree.append(leaf)
            if tree.size in self.heads:
                root = base64.b64encode(tree.root()).decode()
                assert self.heads[tree.size] == root, f"size {tree.size} was shown with another root than {root}"
                checked += 1
        beyond = [size for size in self.heads if size > tree.size]
        assert not beyond and checked >= len(self.heads) - 1, (beyond, checked, len(self.heads))  # less the empty tree


def timed_start(server):
    began = time.monotonic()
    server.start()
    return time.monotonic() - began


def kill_while_starting(server, randomly):
    """A kill in the middle of recovery."""
    server.launch()
    time.sleep(randomly.uniform(0.0, 0.06))
    server.kill()


def log_files(data):
    """Names of the files in use; spare ones begin with a letter."""
    return [file.name for file in (data / "wal").glob("0*.wal")]


def wait_for_a_full_log_file(server, before):
    deadline = time.monotonic() + HEAVY_SECONDS_MAX
    while time.monotonic() < deadline and max(log_files(server.data), default="") <= before:
        time.sleep(0.01)


def load_and_kill(server, trail, number, randomly):
    """Gives the batches of this round, and whether the log had gone on into another file."""
    heavy = number % HEAVY_EVERY == HEAVY_EVERY // 4
    clients = [Client(server, number, heavy, heavy and place == 0, randomly.getrandbits(64)) for place in range(CLIENTS)]
    watcher = Watcher(server, trail.heads)
    before = max(log_files(server.data))
    for thread in [*clients, watcher]:
        thread.start()
    if heavy:
        wait_for_a_full_log_file(server, before)
    time.sleep(randomly.uniform(0.05, 0.4))
    server.kill()
    for thread in [*clients, watcher]:
        thread.join(60)
        assert not thread.is_alive()
    return trail.take_round(clients), max(log_files(server.data)) > before


def test_kills_under_load_lose_nothing(context):
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}, {ROUNDS} rounds")
    randomly = random.Random(seed)
    server, trail = context.prepare_server(environment=ENVIRONMENT), Trail()
    starts, rolled = [timed_start(server)], 0
    for number in range(ROUNDS):
        batches, went_on = load_and_kill(server, trail, number, randomly)
        rolled += went_on
        if number % 5 == 4:
            kill_while_starting(server, randomly)
        if number % VERIFY_BOTH_EVERY == VERIFY_BOTH_EVERY - 1:
            verifiers.expect_sound(server.data)  # as the kill left it
        elif number % VERIFY_EVERY == VERIFY_EVERY - 1:
            result = verifiers.vestige_verify(server.data)
            assert result["ok"], result
        starts.append(timed_start(server))
        trail.check_round(server, batches)
    trail.check_everything(server)
    assert server.stop() == 0
    size, root = verifiers.expect_sound(server.data)
    assert 1 <= size - len(trail.leaves) <= 10, (size, len(trail.leaves))  # what the server recorded of its own since
    sealed = len(list((server.data / "streams" / "default" / "audit").glob("*.seg")))
    acknowledged = sum(len(batch.receipts) for batch in trail.batches if batch.receipts)
    print(f"{size} entries, {acknowledged} acknowledged, {sealed} segments, {len(trail.heads)} heads seen; in {rolled} rounds "
          f"a log file was full; batches without an answer: {trail.partly}; starts took {max(starts):.2f} s at most; root {root}")
    assert max(starts) < START_SECONDS_MAX, starts
    assert acknowledged > ROUNDS and rolled and sealed > ROUNDS // 50, (acknowledged, rolled, sealed)
