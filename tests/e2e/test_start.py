"""Defends: a first start gives a working server and a key, nobody gets in without it, what was acknowledged
is found, sealed bytes hash to the leaf that was acknowledged, and a second server keeps its hands off."""
import base64
import hashlib
import stat

EVENT = {"kind": "data.change", "action": "UPDATED", "targetType": "ACCOUNT", "targetId": "A-1",
         "sourceType": "USER", "sourceId": "u-7", "detail": {"note": "limit raised"},
         "changes": [{"field": "limit", "old": "100", "new": "200", "reason": "asked for"}]}
OPEN_PATHS = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/", "/tlog/default/audit/checkpoint")
CLOSED = (("GET", "/api/keys"), ("POST", "/api/events"), ("POST", "/auditlog/events/v2"),
          ("GET", "/api/events/01930000-0000-7000-8000-000000000001"))


def test_event_is_found_and_its_leaf_can_be_recomputed(context):
    server = context.server()
    key_mode = stat.S_IMODE((server.data / "admin.key").stat().st_mode)
    assert key_mode == 0o600, oct(key_mode)
    answer = server.post_events(EVENT)
    assert answer.status == 201, answer
    receipt = answer.json()
    assert (receipt["accepted"], receipt["duplicates"]) == (1, 0), receipt
    event = receipt["events"][0]
    found = server.search(targetId="A-1", targetType=["ACCOUNT"])["events"]
    assert [entry["id"] for entry in found] == [event["id"]], found
    assert found[0]["leaf"] == event["leaf"] and found[0]["index"] == event["index"], found
    assert found[0]["changes"] == EVENT["changes"], found
    sealed = server.request("GET", f"/api/events/{event['id']}/sealed")
    assert sealed.status == 200, sealed
    leaf = base64.b64encode(hashlib.sha256(b"\0" + sealed.body).digest()).decode()
    assert leaf == event["leaf"], (leaf, event)
    assert server.stop() == 0


def test_same_event_again_is_a_duplicate_and_other_content_a_conflict(context):
    server = context.server()
    event = {**EVENT, "id": "01930000-0000-7000-8000-00000000000a"}
    assert server.post_events(event).status == 201
    again = server.post_events(event)
    assert again.status == 200 and again.json()["duplicates"] == 1, again
    other = server.post_events([EVENT, {**event, "action": "DELETED"}])
    assert other.status == 409, other
    assert len(server.search_all(kind="data.change")) == 1


def test_without_a_key_only_the_open_paths_answer(context):
    server = context.server()
    server.post_events(EVENT)
    for path in OPEN_PATHS:
        answer = server.request("GET", path, key=None)
        assert answer.status == 200, (path, answer)
    for method, path in CLOSED:
        body = {} if method == "POST" else None
        for key in (None, "not-a-key"):
            answer = server.request(method, path, body, key=key)
            assert answer.status == 401, (method, path, answer)
            assert answer.headers["Content-Type"].startswith("application/problem+json"), answer.headers.items()


def test_second_server_on_the_same_data_refuses(context):
    server = context.server()
    second = context.prepare_server(data=server.data).launch()
    assert second.wait() != 0
    assert server.post_events(EVENT).status == 201


def test_acknowledged_events_outlive_a_kill(context):
    server = context.server()
    for number in range(20):
        assert server.post_events({**EVENT, "targetId": f"K-{number}"}).status == 201
    server.kill()
    server.start()
    found = {entry["targetId"] for entry in server.search_all(targetType=["ACCOUNT"])}
    assert found == {f"K-{number}" for number in range(20)}, found


def test_wrong_arguments_are_a_usage_error(context):
    for line in (["serve", "--port", "eighty"], ["no-such-command"], ["import", "--format", "carrier-pigeon", "."]):
        done = context.vestige(*line)
        assert done.status == 2, (line, done)
        assert done.errors.strip(), line
