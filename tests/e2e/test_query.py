"""Defends: docs/query.md is true. Its events are sent, and each of its searches finds the events that it says, by the
API and, for the search language, by the command line and the live stream as well."""
import json
import re
import subprocess

import harness
from api_parts import NDJSON_TYPE, ask

PAGE = harness.ROOT / "docs" / "query.md"


def numbers(text):
    return [int(number) for number in re.findall(r"\d+", text)]


def page_parts():
    text = PAGE.read_text()
    events = re.search(r"```ndjson\n(.*?)```", text, re.S)[1]
    rows = re.findall(r"^\| `([^`]+)` \| [^|]+ \| ([\d, ]+) \|$", text, re.M)
    trees = re.findall(r"```json\n(.*?)\n```\nFinds ([\d, ]+)", text, re.S)
    assert len(rows) > 20 and len(trees) > 8, (len(rows), len(trees))
    return events, [(query, numbers(found)) for query, found in rows], [(body, numbers(found)) for body, found in trees]


class Page:
    """A server that has the events of the page; they are known by their numbers there."""

    def __init__(self, context):
        events, self.queries, self.trees = page_parts()
        self.server = context.server()
        answer = ask(self.server, "POST", "/api/events", body=events.encode(), headers=NDJSON_TYPE)
        assert answer.status == 201, answer.body
        self.number_of = {event["id"]: i + 1 for i, event in enumerate(json.loads(answer.body)["events"])}

    def search(self, body):
        answer = ask(self.server, "POST", "/auditlog/events/v2", body={**body, "order": "asc"})
        assert answer.status == 200, (body, answer.body)
        return json.loads(answer.body)

    def found(self, events):
        return [self.number_of[event["id"]] for event in events if event["id"] in self.number_of]


def test_every_search_of_the_page_finds_what_it_says(context):
    page = Page(context)
    wrong = []
    for query, expected in page.queries:
        found = page.found(page.search({"query": query})["events"])
        if found != expected:
            wrong.append((query, expected, found))
    for body, expected in page.trees:
        found = page.found(page.search(json.loads(body))["events"])
        if found != expected:
            wrong.append((body, expected, found))
    assert not wrong, wrong


def run(server, *arguments):
    line = [str(harness.BINARY), *arguments, "--url", server.url, "--key", server.key]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=True,
                          env=harness.clean_environment()).stdout


def test_the_command_line_and_the_stream_speak_the_same_language(context):
    page = Page(context)
    for query, expected in page.queries[:12]:
        answer = json.loads(run(page.server, "query", query, "--order", "asc"))
        assert page.found(answer["events"]) == expected, query
        # The page's events lie behind the server's own first entries.
        lines = run(page.server, "tail", query, "--from", "0", "--count", str(len(expected)), "--json").splitlines()
        assert page.found(json.loads(line) for line in lines) == expected, query


def test_what_a_search_counts(context):
    page = Page(context)
    answer = page.search({"query": "type:ORDER", "total": True, "limit": 1, "histogram": {"interval": "1d"},
                          "facets": ["action", {"field": "changes.field", "top": 1}]})
    assert answer["total"] == 5 and answer["cursor"], answer
    actions, fields = answer["facets"]
    assert actions["values"] == [{"value": "UPDATED", "count": 3}, {"value": "CREATED", "count": 1},
                                 {"value": "DELETED", "count": 1}], actions
    assert fields["values"] == [{"value": "status", "count": 2}] and fields["distinct"] == 3 and fields["missing"] == 2
    assert answer["histogram"]["counts"][0] == {"from": "2026-11-20T00:00:00.000Z", "count": 2}, answer["histogram"]
    # Later pages leave out what was counted with the first.
    rest = page.search({"query": "type:ORDER", "cursor": answer["cursor"]})
    assert len(rest["events"]) == 4 and "total" not in rest, rest
    table = run(page.server, "query", "type:ORDER", "--total", "--facet", "action", "--limit", "1")
    assert json.loads(table)["total"] == 5, table


def test_what_is_no_search_is_refused_with_what_to_write(context):
    page = Page(context)
    for body, path in (({"query": "nosuch:1"}, "/query"), ({"query": "(a"}, "/query"), ({"text": "\"a"}, "/text"),
                       ({"filter": {"field": "nosuch", "equals": 1}}, "/filter/field"),
                       ({"filter": {"and": [{"field": "action", "like": "x"}]}}, "/filter/and/0/like"),
                       ({"facets": [{"top": 3}]}, "/facets/0"), ({"histogram": {"interval": "1y"}}, "/histogram")):
        answer = ask(page.server, "POST", "/auditlog/events/v2", body=body)
        problem = json.loads(answer.body)
        assert answer.status == 400 and problem["path"] == path, (body, answer.status, problem)
    for query in ("?query=nosuch:1", "?filter=%7B", "?query=%ff"):
        answer = ask(page.server, "GET", "/api/events/stream" + query)
        assert answer.status == 400, (query, answer.status, answer.body)
