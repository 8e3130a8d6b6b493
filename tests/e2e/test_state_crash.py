"""Defends: `kill -9` between a change of state and its entry in the trail loses neither and doubles neither. Whatever the
state database says after a restart, the trail says exactly once; what was acknowledged is there.

Keys are made and revoked and the policy is changed by several clients at a time while the server is killed. In some rounds
the kill falls after a commit to the database and before the relay: the outbox in the dead server's file tells which."""
import collections
import json
import os
import random
import shutil
import sqlite3
import threading
import time

import verifiers
from api_parts import ask

SCALE = float(os.environ.get("VESTIGE_TEST_SCALE", "1"))
ROUNDS = max(10, round(50 * SCALE))
CLIENTS = 6
KILL_SECONDS_MAX = 0.4


class Client(threading.Thread):
    """Makes and revokes keys until the server is gone. `made` and `revoked` are what was acknowledged."""

    def __init__(self, server, name, seed):
        super().__init__(daemon=True)
        self.server, self.name_of_keys, self.random = server, name, random.Random(seed)
        self.made, self.revoked, self.odd = [], [], []

    def run(self):
        try:
            while True:
                if self.made and self.random.random() < 0.4:
                    key = self.made[self.random.randrange(len(self.made))]
                    if key in self.revoked:
                        continue
                    answer = self.server.request("DELETE", f"/api/keys/{key}")
                    if answer.status == 204:
                        self.revoked.append(key)
                    else:
                        self.odd.append(answer)
                else:
                    answer = self.server.request("POST", "/api/keys", {"name": self.name_of_keys, "scopes": ["read"]})
                    if answer.status == 201:
                        self.made.append(answer.json()["id"])
                    else:
                        self.odd.append(answer)
        except (OSError, json.JSONDecodeError):
            pass  # the kill


def waiting_in_outbox(server, folder):
    """How many events the dead server left in its outbox, read from a copy."""
    folder.mkdir(exist_ok=True)
    for file in server.data.glob("state.db*"):
        shutil.copy(file, folder / file.name)
    with sqlite3.connect(folder / "state.db") as database:
        (count,) = database.execute("SELECT COUNT(*) FROM outbox").fetchone()
    database.close()
    shutil.rmtree(folder)
    return count


def set_aside(server):
    """As if the trail had refused all that waits: a start offers it again."""
    with sqlite3.connect(server.data / "state.db") as database:
        database.execute("INSERT INTO outbox_refused (position, id, tenant, stream, added_at, refused_at, reason, event) "
                         "SELECT position, id, tenant, stream, added_at, added_at, 'a test', event FROM outbox")
        database.execute("DELETE FROM outbox")
        database.execute("UPDATE outbox_streams SET waiting = 0")
    database.close()


def test_every_change_of_state_is_in_the_trail_exactly_once(context):
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    randomly = random.Random(seed)
    server = context.server()
    made, revoked, caught = set(), set(), 0
    for round_number in range(ROUNDS):
        clients = [Client(server, f"round {round_number}", randomly.random()) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(randomly.uniform(0.02, KILL_SECONDS_MAX))
        server.kill()
        for client in clients:
            client.join()
            assert not client.odd, (seed, client.odd)
            made.update(client.made)
            revoked.update(client.revoked)
        waiting = waiting_in_outbox(server, context.folder / "copy") > 0
        caught += waiting
        if waiting and randomly.random() < 0.5:
            set_aside(server)
        server.start()
        # What a kill left in the outbox, and what was set aside, is relayed before the server is ready.
        figures = ask(server, "GET", "/metrics", key=None).body.decode()
        assert "vestige_outbox_waiting 0" in figures and "vestige_outbox_refused 0" in figures, figures
    listed = {key["id"] for key in ask(server, "GET", "/api/keys").json()["keys"]}
    told = collections.Counter((event["action"], event["targetId"]) for event in server.search_all(kind="system.key", limit=1000))
    assert set(told.values()) == {1}, (seed, [item for item in told.items() if item[1] > 1])
    created = {key for action, key in told if action == "CREATED"}
    gone = {key for action, key in told if action == "REVOKED"}
    assert created == listed | gone and not listed & gone, (seed, created ^ (listed | gone), listed & gone)
    assert made <= created and revoked <= gone, (seed, made - created, revoked - gone)
    print(f"{ROUNDS} rounds, {len(created)} keys made, {len(gone)} revoked, {caught} kills between commit and relay")
    assert caught > 0, (seed, "no kill fell between a commit and the relay")
    server.stop()
    for verifier, result in verifiers.both(server.data).items():
        assert result["ok"], (seed, verifier, result)
