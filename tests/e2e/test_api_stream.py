"""Defends: whoever follows the stream sees every entry once and in order, also after a break, and is told as soon
as there is something new."""
import http.client
import json
import threading
import time

from api_parts import ask, event, misfits

STORED = {"$ref": "#/components/schemas/StoredEvent"}


class Follower:
    """A connection that reads server-sent events."""

    def __init__(self, server, query="", key=None, **headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        head = {"Authorization": f"Bearer {key or server.key}", **headers}
        self.connection.request("GET", "/api/events/stream" + query, headers=head)
        self.answer = self.connection.getresponse()

    def next(self):
        """(id, type, data) of the next event; None at the end."""
        fields = {}
        while True:
            line = self.answer.readline()
            if not line:
                return None
            line = line.decode().rstrip("\n")
            if not line and fields:
                return int(fields["id"]), fields["event"], json.loads(fields["data"])
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                assert name in ("id", "event", "data") and name not in fields, line
                fields[name] = value

    def take(self, count):
        return [self.next() for _ in range(count)]

    def close(self):
        self.connection.close()


def fill(server, count, start=0):
    events = [event(targetId=f"t{number}", subject="p", detail={"text": "one\ntwo\r\n\nthree"})
              for number in range(start, start + count)]
    assert ask(server, "POST", "/api/events", events).status == 201


def test_all_of_it_then_what_comes(context):
    server = context.server()
    fill(server, 1300)
    size = server.search(limit=1)["tree"]["size"]
    follower = Follower(server, "?from=0")
    assert follower.answer.status == 200
    assert follower.answer.headers["Content-Type"].startswith("text/event-stream")
    told = follower.take(size)
    assert [index for index, _, _ in told] == list(range(size))
    read = {entry["index"]: entry for entry in server.search_all(limit=1000)}
    for index, kind, entry in told:
        assert kind == "entry" and entry == read[index]
    assert not misfits(STORED, told[-1][2]), misfits(STORED, told[-1][2])
    for number in range(5):
        fill(server, 1, start=5000 + number)
        began = time.monotonic()
        index, _, entry = follower.next()
        assert (index, entry["targetId"]) == (size + number, f"t{5000 + number}")
        assert time.monotonic() - began < 5
    follower.close()


def test_going_on_after_a_break(context):
    server = context.server()
    fill(server, 50)
    for query, headers, first in (("?from=17", {}, 17), ("", {"Last-Event-ID": "20"}, 21),
                                  ("?from=3", {"Last-Event-ID": "30"}, 31), ("?from=51", {}, 51)):
        follower = Follower(server, query, **headers)
        assert follower.next()[0] == first, (query, headers)
        follower.close()
    # Without either: only what comes.
    follower = Follower(server)
    size = server.search(limit=1)["tree"]["size"]
    fill(server, 2, start=100)
    assert [index for index, _, _ in follower.take(2)] == [size, size + 1]
    follower.close()
    for query, headers in (("?from=x", {}), ("?from=-1", {}), ("?from=1.5", {}), ("?from=", {}),
                           ("?from=99999999999999999999", {}), ("", {"Last-Event-ID": "x"}), ("", {"Last-Event-ID": "-1"}),
                           ("", {"Last-Event-ID": "18446744073709551615"})):
        answer = ask(server, "GET", "/api/events/stream" + query, headers=headers)
        assert answer.status == 400, (query, headers, answer)


def test_a_saved_cursor_is_where_the_next_reader_begins(context):
    server = context.server()
    fill(server, 30)
    assert ask(server, "GET", "/api/cursors").json() == {"cursors": []}
    assert ask(server, "GET", "/api/cursors/warehouse").status == 404
    # A cursor that was never saved changes nothing.
    follower = Follower(server, "?from=3&cursor=warehouse")
    assert follower.next()[0] == 3
    follower.close()
    size = server.search(limit=1)["tree"]["size"]
    saved = ask(server, "PUT", "/api/cursors/warehouse", {"next": 17})
    assert (saved.status, saved.json()) == (200, {"name": "warehouse", "next": 17}), saved
    assert ask(server, "PUT", "/api/cursors/a.b_c-D", {"next": size}).status == 200
    server.kill()
    server.start()
    assert server.search(limit=1)["tree"]["size"] == size + 1, "the start is an entry, saving is none"
    assert ask(server, "GET", "/api/cursors").json() == {
        "cursors": [{"name": "a.b_c-D", "next": size}, {"name": "warehouse", "next": 17}]}
    for query, headers, first in (("?cursor=warehouse", {}, 17), ("?cursor=warehouse&from=3", {}, 17),
                                  ("?cursor=warehouse", {"Last-Event-ID": "20"}, 21)):
        follower = Follower(server, query, **headers)
        assert follower.next()[0] == first, (query, headers)
        follower.close()
    for body in ({}, {"next": -1}, {"next": 1.5}, {"next": "1"}, {"next": 10 ** 9}, {"next": 1, "more": 1}, [1], None):
        refused = ask(server, "PUT", "/api/cursors/warehouse", body)
        assert refused.status == 400, (body, refused)
    for name in ("a%20b", "a%2Fb", "x" * 65):
        assert ask(server, "PUT", f"/api/cursors/{name}", {"next": 1}).status in (400, 404), name
    assert ask(server, "GET", "/api/events/stream?cursor=a%20b").status == 400


def test_followers_miss_nothing_while_many_write(context):
    server = context.server()
    followers = [Follower(server, "?from=0") for _ in range(4)]
    received, wrong = [[] for _ in followers], []
    total = 600

    def write(number):
        for turn in range(total // 4 // 5):
            if ask(server, "POST", "/api/events", [event(targetId=f"{number}-{turn}-{n}") for n in range(5)]).status != 201:
                wrong.append(number)

    def read(number):
        while len([1 for _, _, entry in received[number] if entry["kind"] == "data.change"]) < total:
            received[number].append(followers[number].next())

    threads = [threading.Thread(target=work, args=(number,)) for work in (write, read) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    for told in received:
        assert [index for index, _, _ in told] == list(range(len(told)))
        assert len({entry["targetId"] for _, _, entry in told if entry["kind"] == "data.change"}) == total


def test_a_stop_ends_streams_and_a_restart_goes_on(context):
    server = context.server()
    fill(server, 10)
    follower = Follower(server, "?from=0")
    last = follower.take(10)[-1][0]
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 15, "an open stream held up the stop"
    rest = []
    try:
        while (told := follower.next()) is not None:
            rest.append(told[0])
    except (OSError, http.client.HTTPException):
        pass
    server.start()
    seen = rest[-1] if rest else last
    again = Follower(server, **{"Last-Event-ID": str(seen)})
    assert again.next()[0] == seen + 1
    again.close()
