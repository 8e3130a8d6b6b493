"""Defends: vestige bench http sends what it says, once and nothing else, asks before it does, keeps its schedule, and
every example of docs/operating/bench.md runs."""
import json
import re
import shlex

import harness

PAGE = harness.ROOT / "docs" / "operating" / "bench.md"


def sent(server):
    """How many events of the generator the trail has."""
    return server.search(sourceType="BENCHMARK", total=True, limit=1)["total"]


def test_every_example_of_the_page_runs(context):
    server = context.server(data=context.folder / "var")
    commands = [line for block in re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
                for line in block.strip().split("\n")]
    assert len(commands) >= 5, commands
    expected = 0
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "vestige", command
        done = context.vestige(*words[1:])
        assert done.status == 0, (command, done)
        figures = done.json()
        assert figures["complete"] and figures["unsent"] == 0 and figures["busy"] == 0, (command, figures)
        assert figures["events"] == figures["requests"] * figures["batch"], (command, figures)
        expected += figures["events"]
    assert sent(server) == expected
    assert context.vestige("query", "--source-type", "BENCHMARK", "--limit", 1, data=server.data).json()["events"]


def test_a_schedule_is_kept_and_counts_from_when_requests_were_due(context):
    server = context.server()
    done = context.vestige("bench", "http", "--yes", "--rate", 4000, "--batch", 10, "--events", 4000, data=server.data)
    figures = done.json()
    assert figures["requests"] == 400 and figures["events"] == 4000 and sent(server) == 4000, figures
    # The last of 400 requests is due 0.9975 s after the first, and no load makes it due earlier.
    assert figures["seconds"] >= 0.99, figures
    for name in ("p50ms", "p90ms", "p99ms", "p999ms", "maxMs"):
        assert figures["latency"][name] >= figures["service"][name] > 0, figures


def test_it_sends_nothing_that_nobody_meant(context):
    server = context.server()
    done = context.vestige("bench", "http", data=server.data)
    assert done.status == 2 and "--yes" in done.errors and not done.output, done
    reader = server.request("POST", "/api/keys", {"name": "reader", "scopes": ["read"]}).json()["key"]
    done = context.vestige("bench", "http", "--yes", "--url", server.url, "--key", reader)
    assert done.status == 1 and "ingest" in done.errors, done
    assert sent(server) == 0
    for line in (["bench"], ["bench", "http", "--connections", "0"], ["bench", "http", "--batch", "10001"],
                 ["bench", "http", "--rate", "0"], ["bench", "http", "--events", "5", "--duration", "5"]):
        assert context.vestige(*line, data=server.data).status == 2, line
    server.stop()
    done = context.vestige("bench", "http", "--yes", "--url", server.url, "--key", reader)
    assert done.status == 3 and server.url in done.errors, done


def test_persons_are_sealed(context):
    server = context.server()
    done = context.vestige("bench", "http", "--yes", "--persons", 3, "--batch", 5, "--events", 30, data=server.data)
    assert done.status == 0 and done.json()["events"] == 30, done
    events = server.search_all(sourceType="BENCHMARK")
    assert len(events) == 30 and {event["subject"] for event in events} <= {f"bench-{number:07}" for number in range(3)}
    raw = server.request("GET", f"/api/events/{events[0]['id']}/sealed").body.decode()
    assert json.loads(raw)["sealed"] and events[0]["subject"] not in raw, raw
