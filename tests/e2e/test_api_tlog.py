"""Defends: what the log publishes is a C2SP tiled log of the very bytes that are served. Trees, tiles, proofs and
signatures are recomputed with code that has nothing in common with the server's."""
import base64
import json
import random
import time

from api_parts import (ask, canonical, check_proof, event, leaf_hash, read_checkpoint, read_verifier_key,
                       root_by_path, tile_path, tree_root)

LOG = "/tlog/default/audit"


def text_of(server, path, **options):
    answer = ask(server, "GET", path, **options)
    assert answer.status == 200, answer
    return answer.body.decode()


def checkpoint_of(server, size_min):
    """(size, root) of a checkpoint that covers so many entries; one is signed within a second."""
    key = text_of(server, f"{LOG}/vkey", key=None)
    deadline = time.monotonic() + 20
    while True:
        size, root = read_checkpoint(text_of(server, f"{LOG}/checkpoint", key=None), key)
        if size >= size_min or time.monotonic() > deadline:
            assert size >= size_min, f"the checkpoint stays at {size} of {size_min}"
            return size, root
        time.sleep(0.05)


def leaves_of(server):
    """All leaf hashes, as the search names them."""
    entries = server.search_all(order="asc", limit=1000)
    assert [entry["index"] for entry in entries] == list(range(len(entries)))
    return [base64.b64decode(entry["leaf"]) for entry in entries], entries


def tile(server, level, number, width=256):
    answer = ask(server, "GET", f"{LOG}/tile/{tile_path(level, number, width)}", key=None)
    if answer.status == 404:
        return None
    assert answer.status == 200 and len(answer.body) == 32 * width, answer
    assert answer.headers["Content-Type"] == "application/octet-stream"
    return [answer.body[at:at + 32] for at in range(0, len(answer.body), 32)]


def grow(server, size):
    now = server.search(limit=1)["tree"]["size"]
    while now < size:
        count = min(size - now, 5000)
        subject = {"subject": "p"} if now % 2 else {}
        assert ask(server, "POST", "/api/events", [event(targetId=f"t{now + n}", **subject) for n in range(count)]).status == 201
        now += count


def test_tiles_of_every_level_and_width_give_the_signed_root(context):
    server = context.server()
    for size_wanted in (3, 255, 256, 257, 700):
        grow(server, size_wanted)
        size, root = checkpoint_of(server, size_wanted)
        leaves, _ = leaves_of(server)
        leaves = leaves[:size]
        assert tree_root(leaves) == root, size
        level, hashes = 0, leaves
        while hashes:
            whole, rest = divmod(len(hashes), 256)
            for number in range(whole):
                assert tile(server, level, number) == hashes[number * 256:(number + 1) * 256], (size, level, number)
            for width in range(1, rest + 1) if size < 260 else ({1, rest // 2, rest} - {0}):
                assert tile(server, level, whole, width) == hashes[whole * 256:][:width], (size, level, width)
            # Nothing beyond what is signed.
            assert tile(server, level, whole + 1) is None
            if size == server.search(limit=1)["tree"]["size"]:
                assert tile(server, level, whole) is None
                if rest < 255:
                    assert tile(server, level, whole, rest + 1) is None, (size, level)
            hashes = [tree_root(hashes[number * 256:(number + 1) * 256]) for number in range(whole)]
            level += 1
        assert tile(server, level, 0, 1) is None and tile(server, 9, 0, 1) is None
    for wrong in ("0/0", "0/1000", "0/000.p/0", "0/000.p/256", "0/000.p/01", "00/000", "0/x000/000", "-1/000", "0/000/", "x",
                  "0/000.p", "entries/000", "0/000.p/1/2", "64/000", "0/999999999999999999999"):
        assert ask(server, "GET", f"{LOG}/tile/{wrong}", key=None).status == 404, wrong
    for other in ("/tlog/default/access", "/tlog/other/audit", "/tlog/default/log"):
        for part in ("checkpoint", "vkey", "tile/0/000.p/1"):
            assert ask(server, "GET", f"{other}/{part}", key=None).status == 404, (other, part)


def test_every_event_is_proven_by_its_own_bytes(context):
    server = context.server()
    grow(server, 150)
    ask(server, "POST", "/api/keys", {"name": "x", "scopes": ["read"]})
    key = text_of(server, f"{LOG}/vkey", key=None)
    _, entries = leaves_of(server)
    kinds = set()
    for entry in entries:
        sealed = ask(server, "GET", f"/api/events/{entry['id']}/sealed")
        assert sealed.status == 200 and sealed.headers["Content-Type"] == "application/json"
        assert leaf_hash(sealed.body) == base64.b64decode(entry["leaf"])
        stored = json.loads(sealed.body)
        assert canonical(stored).encode() == sealed.body
        assert stored["id"] == entry["id"] and ("sealed" in stored) != ("mac" in stored), stored
        assert "p" not in (stored.get("subject"), stored.get("sourceId"), stored.get("targetId"))
        kinds.add(stored["kind"])
        proof = text_of(server, f"/api/events/{entry['id']}/proof")
        size = check_proof(proof, sealed.body, key, index=entry["index"])
        assert entry["index"] < size <= len(entries) + 1
        for changed in (sealed.body + b" ", sealed.body.replace(b"e", b"f", 1)):
            try:
                check_proof(proof, changed, key)
            except AssertionError:
                continue
            raise AssertionError("a proof proves other bytes")
    assert kinds >= {"data.change", "system.server", "system.key"}, kinds


def test_a_proof_is_there_as_soon_as_the_event_is(context):
    server = context.server()
    key = text_of(server, f"{LOG}/vkey", key=None)
    for _ in range(30):
        receipt = ask(server, "POST", "/api/events", event()).json()["events"][0]
        proof = text_of(server, f"/api/events/{receipt['id']}/proof")
        sealed = ask(server, "GET", f"/api/events/{receipt['id']}/sealed").body
        assert check_proof(proof, sealed, key, index=receipt["index"]) > receipt["index"]


def test_the_tree_only_grows_across_restarts_and_segments(context):
    server = context.server()
    key = text_of(server, f"{LOG}/vkey", key=None)
    name, _, _ = read_verifier_key(key)
    assert name.endswith("/default/audit"), name
    seen, rng = [], random.Random(3)
    for turn in range(6):
        grow(server, server.search(limit=1)["tree"]["size"] + rng.choice((1, 30, 6000)))
        seen.append(checkpoint_of(server, server.search(limit=1)["tree"]["size"]))
        if turn % 2:
            server.kill() if turn == 3 else server.stop()
            server.start()
            assert text_of(server, f"{LOG}/vkey", key=None) == key
    leaves, _ = leaves_of(server)
    for size, root in seen:
        assert tree_root(leaves[:size]) == root, size
    assert [size for size, _ in seen] == sorted(size for size, _ in seen)
    # The root that a search names is that of its size.
    tree = server.search(limit=1)["tree"]
    assert tree_root(leaves[:tree["size"]]) == base64.b64decode(tree["root"])
    assert root_by_path(leaves[0], 0, 1, []) == leaves[0]
