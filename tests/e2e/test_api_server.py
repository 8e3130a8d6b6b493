"""Defends: the server as a whole. All that the description lists is there; start, stop and restart keep what was
acknowledged; a second server, a busy port and TLS behave; a stop while requests run loses none of them."""
import http.client
import json
import socket
import ssl
import threading
import time

import harness
from api_parts import DESCRIPTION, ask, event, judge, tls_server


def test_what_is_served_is_what_is_described(context):
    server = context.server()
    assert ask(server, "GET", "/openapi.json", key=None).json() == DESCRIPTION
    assert ask(server, "GET", "/healthz", key=None).json()["status"] == "ok"
    assert ask(server, "GET", "/readyz", key=None).json() == {"status": "ready"}
    for path in ("/", "/docs"):
        page = ask(server, "GET", path, key=None)
        assert b"<!doctype html" in page.body.lower() and b"Vestige" in page.body, path
    figures = ask(server, "GET", "/metrics", key=None).body.decode()
    values = dict(line.rsplit(" ", 1) for line in figures.splitlines() if not line.startswith("#"))
    assert int(values["vestige_entries"]) == server.search(limit=1)["tree"]["size"], figures
    for line in figures.splitlines():
        assert line.startswith(("# HELP vestige_", "# TYPE vestige_", "vestige_")), line
    for method, path in (("HEAD", "/healthz"), ("HEAD", "/"), ("OPTIONS", "/api/events")):
        answer = server.request(method, path)
        assert answer.status < 500 and not (method == "HEAD" and answer.body), (method, path, answer)


def test_a_restart_keeps_everything(context):
    server = context.server()
    sent = [event(targetId=f"t{number}", subject="p" if number % 2 else None, detail={"n": number}) for number in range(500)]
    assert ask(server, "POST", "/api/events", sent).status == 201
    before = server.search_all(limit=1000)
    key, verifier_key = server.key, ask(server, "GET", "/tlog/default/audit/vkey", key=None).body
    for end in (server.stop, server.kill, server.stop):
        end()
        server.start()
        assert server.key == key
        assert ask(server, "GET", "/tlog/default/audit/vkey", key=None).body == verifier_key
        after = server.search_all(limit=1000)
        assert after[-len(before):] == before, "an entry changed over a restart"
        assert all(entry["kind"].startswith("system.") for entry in after[:-len(before)])
        before = after


def test_a_second_server_on_the_same_data_refuses(context):
    server = context.server()
    second = context.prepare_server(data=server.data).launch()
    assert second.wait() == 2
    words = second.log.read_text()
    assert str(server.data) in words and "another" in words.lower() or "already" in words.lower(), words
    assert "Traceback" not in words and "invariant" not in words
    assert ask(server, "POST", "/api/events", event()).status == 201
    # Once the first is gone, it may.
    server.stop()
    second.start()
    assert ask(second, "POST", "/api/events", event()).status == 201


def test_a_busy_port_is_said(context):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = context.prepare_server()
        server.port = taken.getsockname()[1]
        server.launch()
        assert server.wait() != 0
        words = server.log.read_text()
        assert str(server.port) in words and "listens" in words, words
    # Nothing was spoilt by the attempt.
    server.port = harness.free_port()
    server.start()
    assert ask(server, "POST", "/api/events", event()).status == 201
    assert server.stop() == 0


def test_tls(context):
    server, certificate, key, request = tls_server(context)
    authorised = {"Authorization": f"Bearer {server.key}"}
    answer = judge("POST", "/api/events", request("POST", "/api/events", json.dumps(event()), authorised))
    assert answer.status == 201
    identifier = answer.json()["events"][0]["id"]
    assert request("GET", f"/api/events/{identifier}", headers=authorised).status == 200
    try:
        request("GET", "/healthz", trust=ssl.create_default_context())
        raise AssertionError("a certificate of nobody was trusted")
    except ssl.SSLError:
        pass
    # Who speaks plainly gets nothing, and harms nobody.
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            assert b"200" not in plain.recv(1000)
        except ConnectionError:
            pass
    assert request("GET", "/healthz").status == 200
    assert server.stop() == 0
    for broken in (("--tls-certificate", str(certificate)), ("--tls-key", str(key)),
                   ("--tls-certificate", str(key), "--tls-key", str(key)), ("--tls-certificate", "/nowhere", "--tls-key", str(key))):
        other = context.prepare_server(*broken, data=context.folder / "other").launch()
        assert other.wait() != 0, broken
        assert other.log.read_text().strip(), broken


def test_a_stop_while_requests_run_loses_nothing_that_was_acknowledged(context):
    server = context.server()
    acknowledged, refused_by, lock = [], {}, threading.Lock()

    def write(number):
        turn = 0
        while True:
            turn += 1
            sent = [event(targetId=f"{number}-{turn}-{n}") for n in range(3)]
            try:
                answer = server.post_events(sent)
            except OSError:
                return
            with lock:
                if answer.status == 201:
                    acknowledged.extend(zip([each["targetId"] for each in sent], answer.json()["events"]))
                else:
                    refused_by[answer.status] = refused_by.get(answer.status, 0) + 1
                    if answer.status == 503:
                        return

    for round_number in range(3):
        threads = [threading.Thread(target=write, args=(f"{round_number}-{number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        while True:
            with lock:
                if len(acknowledged) >= 300 * (round_number + 1):
                    break
            time.sleep(0.01)
        assert server.stop() == 0
        for thread in threads:
            thread.join()
        assert set(refused_by) <= {503}, refused_by
        assert "everything acknowledged is durable" in server.log.read_text()
        server.start()
        entries = {entry["targetId"]: entry for entry in server.search_all(kind="data.change", limit=1000)}
        for target, receipt in acknowledged:
            assert target in entries, f"{target} was acknowledged and is gone"
            assert {name: entries[target][name] for name in receipt} == receipt
        recovered = server.search(kind="system.server", action="STARTED", limit=1)["events"][0]
        assert recovered["detail"]["clean"] is True, recovered


def test_requests_of_one_connection_are_answered_in_order(context):
    server = context.server()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    head = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    socket_used = None
    for number in range(50):
        connection.request("POST", "/api/events", json.dumps(event(targetId=str(number))), headers=head)
        answer = connection.getresponse()
        assert answer.status == 201
        identifier = json.loads(answer.read())["events"][0]["id"]
        connection.request("GET", f"/api/events/{identifier}", headers=head)
        read = connection.getresponse()
        assert json.loads(read.read())["targetId"] == str(number)
        assert socket_used in (None, connection.sock), "the connection was not kept"
        socket_used = connection.sock
    # Pipelined: all at once.
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
        request = f"GET /healthz HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n\r\n"
        link.sendall((request * 20).encode() + b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := link.recv(65536):
            answer += piece
    assert answer.count(b"HTTP/1.1 200 ") == 20 and answer.count(b"HTTP/1.1 401 ") == 1, answer[-400:]
    assert answer.rindex(b"HTTP/1.1 401 ") > answer.rindex(b"HTTP/1.1 200 ")
