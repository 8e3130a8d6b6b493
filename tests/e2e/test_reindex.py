"""Defends: what searches go by can be thrown away and built anew at any time, by the command or by the server, and no
answer changes; the command touches nothing else, refuses where a server runs, and says what it did."""
import json
import time

import verifiers
from api_parts import ask
from canary import Person
from test_erasure import SEGMENT_ENVIRONMENT, erase, expect_nothing, fill, plant

SECONDS_MAX = 60


def sidecars(data):
    return {path.relative_to(data): path.read_bytes() for suffix in ("pub", "per") for path in data.rglob(f"*.{suffix}")}


def found(server, people):
    return [[event["id"] for event in server.search_all(text=word)] for person in people for word in person.searched()]


def until_there(server, wanted):
    """Until the server has built what is missing."""
    deadline = time.monotonic() + SECONDS_MAX
    while set(sidecars(server.data)) != wanted:
        assert time.monotonic() < deadline, (sidecars(server.data).keys(), wanted)
        time.sleep(0.05)


def test_sidecars_are_built_anew_by_the_command_and_by_the_server(context):
    gone, other = Person("Irmgard"), Person("Justus")
    server = context.server(environment=SEGMENT_ENVIRONMENT)
    plant(server, gone, other)
    fill(server)
    refused = context.vestige("reindex", data=server.data)
    assert refused.status == 2 and "another vestige server" in refused.errors, refused
    erase(server, gone)
    expected = found(server, (gone, other))
    assert any(expected) and not any(found(server, (gone,)))
    server.stop()
    before = sidecars(server.data)
    assert {path.suffix for path in before} == {".pub", ".per"}, before.keys()
    others = {path: path.read_bytes() for path in server.data.rglob("*.seg")}

    done = context.vestige("reindex", data=server.data)
    assert done.status == 0, done
    said = json.loads(done.output)
    assert said["segments"] >= 1 and said["entries"] >= 4096 and said["pagesWithSealedValues"] >= 1, said
    after = sidecars(server.data)
    assert set(after) == set(before) and not set(after.values()) & set(before.values())
    assert others == {path: path.read_bytes() for path in server.data.rglob("*.seg")}
    verifiers.expect_well(server.data)
    expect_nothing(server.data, gone, 6)
    server.start()
    assert found(server, (gone, other)) == expected
    server.stop()

    # By itself: one that is gone, one that is damaged, all without their keys as beside an older vault.
    for path in after:
        if path.suffix == ".per":
            (server.data / path).unlink()
        else:
            (server.data / path).write_bytes(after[path][:600])
    server.start()
    assert found(server, (gone, other)) == expected
    until_there(server, set(after))
    assert found(server, (gone, other)) == expected
    server.stop()
    verifiers.expect_well(server.data)
    expect_nothing(server.data, gone, 6)


def test_reindex_says_what_is_wrong(context):
    nothing = context.vestige("reindex", data=context.folder / "nothing")
    assert nothing.status == 2 and "nothing" in nothing.errors, nothing
    server = context.server(environment=SEGMENT_ENVIRONMENT)
    assert ask(server, "POST", "/api/events", {"kind": "data.change", "action": "TICKED"}).status == 201
    server.stop()
    empty = context.vestige("reindex", data=server.data)
    assert empty.status == 0 and json.loads(empty.output)["segments"] == 0, empty
    server.start()
    plant(server, Person("Kunigunde"))
    fill(server)
    server.stop()
    segment = next(server.data.rglob("*.seg"))
    data = bytearray(segment.read_bytes())
    data[700] ^= 1
    segment.write_bytes(data)
    damaged = context.vestige("reindex", data=server.data)
    assert damaged.status == 1 and segment.name in damaged.errors, damaged
