"""Defends: the report on captures says that nothing is missing where nothing is, after restarts and kills too, and names a hole with
its bounds; it lists the changes that nobody signed for, and no other; no byte of it can be altered, and nobody who holds the
log's key can make it contradict itself, without both verifiers noticing; made anew from the data it is the same; it is of one
tenant, and looking at it is on record."""
import base64
import contextlib
import copy
import io
import json
import pathlib
import random
import re
import shutil

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import harness
import postgresql
import verifiers
from api_parts import ask, canonical, event
from capture_parts import Source
from test_cli import on_terminal
from test_tenants import key_by, make_tenant

from vestige_verify import command  # noqa: E402 (verifiers.py knows where it is)
from vestige_verify.coverage import check_coverage  # noqa: E402
from vestige_verify.note import key_id, parse_note, parse_vkey  # noqa: E402
from vestige_verify.reader import Damage, sha256  # noqa: E402

PATH = "/api/capture/coverage"
TABLE = """CREATE TABLE public.invoice(id bigint PRIMARY KEY, amount numeric, customer text);
ALTER TABLE public.invoice REPLICA IDENTITY FULL"""
SAYS_WHO = """SELECT pg_logical_emit_message(true, 'vestige', '{"actor": {"id": "42", "type": "STAFF", "name": "Asha"}}'); """
PAGE = harness.ROOT / "docs" / "formats" / "coverage.md"
BYTES_TRIED = 60  # by the verifier that is a process of its own; the other one is shown every one


def invoices(context, name="crm"):
    cluster = postgresql.Cluster(context)
    cluster.create_database("shop")
    cluster.psql(TABLE, "shop")
    return Source(context, cluster, "shop", ["public.invoice"], name=name, subject={"public.invoice": "customer"})


def report_of(server, query="", **options):
    answer = ask(server, "GET", PATH + query, **options)
    assert answer.status == 200, answer
    return answer.json()["report"]


def the_source(report, name="crm"):
    (source,) = [source for source in report["sources"] if source["capture"] == name]
    return source


class Verifiers:
    """Both, of a file."""

    def __init__(self, context, server):
        self.context, self.vkey = context, verifiers.vestige_vkey(server)
        self.file = context.folder / "tried.coverage"

    def vestige(self, data):
        self.file.write_bytes(data)
        return self.context.vestige("verify", "--coverage", self.file, "--vkey", self.vkey, "--json")

    def python(self, data, *more):
        self.file.write_bytes(data)
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = command.main([*map(str, more), "--coverage", str(self.file), "--vkey", self.vkey, "--json"], "")
        result = json.loads(output.getvalue())
        assert status == (0 if result["ok"] else 1), (status, result)
        return result

    def accept(self, data):
        mine, other = self.vestige(data), self.python(data)
        assert mine.status == 0 and mine.json()["ok"] and other["ok"], (mine, other)
        assert mine.json()["report"] == other["report"] and mine.json()["gaps"] == other["gaps"]
        return other

    def refuse(self, data):
        mine, other = self.vestige(data), self.python(data)
        assert mine.status == 1 and not mine.json()["ok"] and not other["ok"], (mine, other)
        return mine.json()["reason"], other["reason"]


# ------------------------------------------------------------------------------------------------ a source

def test_what_is_whole_is_told_as_whole(context):
    source = invoices(context)
    server = source.server.start()
    source.witnesses.psql("INSERT INTO invoice VALUES (1, 10, 'Quiet GmbH')")
    source.witnesses.psql("BEGIN; " + SAYS_WHO + "UPDATE invoice SET amount = 11 WHERE id = 1; COMMIT")
    source.catch_up()
    # Nothing is claimed of what no entry tells of yet.
    early = the_source(report_of(server))
    assert early["heartbeat"] is None and early["gaps"] == 0 and early["runs"][0]["steps"] == [], early
    assert server.stop() == 0
    server.start()
    for number in range(2, 6):
        source.witnesses.psql(f"INSERT INTO invoice VALUES ({number}, 1, 'Loud AG')")
        source.catch_up()
        if number % 2:
            server.kill()
        else:
            assert server.stop() == 0
        server.start()
    source.check()
    assert server.stop() == 0
    server.start()
    source.catch_up()
    report = report_of(server)
    found = the_source(report)
    assert (report["gaps"], report["unexplained"]) == (0, 0) and found["moves"] == [], report
    (run,) = found["runs"]
    assert len(run["steps"]) == 1 and run["database"] == "shop", run
    covered = source.about_itself("COVERED")
    assert run["from"] == covered[0]["detail"]["from"] and run["to"] == covered[-1]["detail"]["to"], (run, covered)
    assert found["heartbeat"] == {"index": covered[-1]["index"], "time": covered[-1]["time"]}
    assert found["starts"] == len(source.about_itself("STARTED")) == 7
    (taken,) = source.about_itself("SNAPSHOT_TAKEN")
    assert [(each["index"], each["at"], each["rows"]) for each in found["snapshots"]] == [
        (taken["index"], taken["detail"]["at"], taken["detail"]["rows"])]
    check_unattributed(source, report, found)


def check_unattributed(source, report, found):
    """Those that nobody signed for, no others, and of them nothing that says whom or what they are about."""
    changes = [each for each in source.events() + source.server.search_all(targetType="public.beacon")
               if each["action"] != "SNAPSHOT"]
    nobody = sorted((each for each in changes if each["context"]["attribution"] == "none"), key=lambda each: each["index"])
    listed = report["unattributed"]
    assert listed["whole"] and listed["count"] == len(nobody) and len(changes) > len(nobody) > 3, listed
    assert listed["listed"] == [
        {"index": each["index"], "id": each["id"], "time": each["time"], "action": each["action"], "targetType": each["targetType"],
         **{name: each["context"][name] for name in ("capture", "lsn", "transaction")}} for each in nobody]
    told = [each for each in changes if each["index"] < found["heartbeat"]["index"]]
    assert found["totals"] == {"rows": len(told), "transactions": len({each["context"]["transaction"] for each in told}),
                               "unattributed": sum(each["context"]["attribution"] == "none" for each in told)}, found
    text = json.dumps(report)
    assert "GmbH" not in text and "Asha" not in text and '"1"' not in text, text
    # The search that the page names finds the same.
    answer = source.server.search_all(query="context.attribution:none -action:SNAPSHOT", order="asc")
    assert [each["index"] for each in answer] == [each["index"] for each in listed["listed"]]


def test_a_slot_that_is_made_anew_is_a_gap_with_its_bounds(context):
    source = invoices(context)
    server = source.server.start()
    source.catch_up()
    assert server.stop() == 0
    server.start()
    source.witnesses.psql("INSERT INTO invoice VALUES (1, 10, 'before')")
    source.catch_up()
    # Nobody told yet of what was read last.
    server.kill()
    source.cluster.psql("SELECT pg_drop_replication_slot('vestige_crm')", "shop")
    source.witnesses.psql("INSERT INTO invoice VALUES (2, 10, 'in the hole')")
    assert source.init().json()["ready"] is True
    server.start()
    source.catch_up()
    assert server.stop() == 0
    server.start()
    source.catch_up()
    (entry,) = source.about_itself("GAP")
    report = report_of(server)
    found = the_source(report)
    assert (report["gaps"], report["unexplained"], found["gaps"]) == (1, 0, 1), report
    (run,) = found["runs"]
    before, gap, after = run["steps"]
    assert gap == {"index": entry["index"], "time": entry["time"], "cause": "slot_moved", "from": entry["detail"]["from"],
                   "to": entry["detail"]["to"]}, (gap, entry)
    assert (before["from"], before["to"], after["from"], after["to"]) == (run["from"], gap["from"], gap["to"], run["to"])
    assert len(found["snapshots"]) == 2
    # What lies in the hole is not on record as a change; before and after are.
    assert [each["targetId"] for each in source.events() if each["action"] == "CREATED"] == ["1"]

    done = context.vestige("coverage", data=server.data)
    assert done.status == 1 and done.json()["report"]["gaps"] == 1, done
    # Two reports that share a border have it once.
    border = gap["time"]
    early = the_source(report_of(server, f"?to={border}"))
    late = the_source(report_of(server, f"?from={border}"))
    assert (early["gaps"], late["gaps"]) == (0, 1), (early, late)
    assert early["runs"][0]["to"] == late["runs"][0]["from"] and early["starts"] + late["starts"] == found["starts"]
    # What was told just before the hole may have been told in the same millisecond, and is then the later report's.
    if before["last"]["time"] < border:
        assert late["runs"][0]["from"] == gap["from"] and late["runs"][0]["steps"][0] == gap
    for name, total in found["totals"].items():
        assert early["totals"][name] + late["totals"][name] == total, name
    forge(server)
    made_anew(context, source, report)


def forge(server):
    """What clients send in the form of what captures record is listed where it is like that to the letter, and nowhere else; no report
    becomes less good by it."""
    good = {"capture": "erp", "attribution": "none", "lsn": "0/8", "transaction": 8}
    ask(server, "POST", "/api/events", [
        event(action="UPDATED", targetType="t", context={**good, **wrong})
        for wrong in ({}, {"lsn": "0/a"}, {"lsn": "0/08"}, {"lsn": 8}, {"transaction": 1.5}, {"transaction": -1}, {"transaction": 2**32},
                      {"transaction": True}, {"capture": "Mr. X"}, {"capture": 5}, {"capture": "x" * 65}, {"attribution": "message"})])
    listed = report_of(server)["unattributed"]["listed"]
    assert [each["capture"] for each in listed if each["capture"] != "crm"] == ["erp"], listed
    assert report_of(server, "?source=erp")["sources"] == []


def made_anew(context, source, report):
    """From the entries of the data, by the verifier that shares no code with the server; nothing else fits them."""
    server, both = source.server, Verifiers(context, source.server)
    assert server.stop() == 0
    server.start()
    made = report["madeAt"]
    files = [ask(server, "GET", PATH + query).body for query in ("", "?source=crm", f"?from={made}", f"?to={made}")]
    assert server.stop() == 0
    for data in files:
        both.accept(data)
        assert both.python(data, server.data)["madeAnew"] is True
    signer = Signer(server.data)
    for alter in (lambda lie: lie["unattributed"]["listed"].pop(), lambda lie: lie["sources"][0]["runs"][0]["steps"].pop(1),
                  lambda lie: lie["sources"][0]["totals"].update(rows=10**6)):
        lie = json.loads(files[0])["report"]
        alter(lie)
        consistent(lie)
        data = signer.document(lie)
        both.accept(data)  # it contradicts nothing in itself
        result = both.python(data, server.data)
        assert not result["ok"] and "data directory" in result["reason"], result
    older = context.folder / "older"
    shutil.copytree(server.data, older)
    server.start()
    ask(server, "POST", "/api/events", event())
    newer = ask(server, "GET", PATH).body
    result = both.python(newer, older)
    assert not result["ok"] and "older copy" in result["reason"], result


def consistent(report):
    """Mends what an alteration left behind."""
    for source in report["sources"]:
        for run in source["runs"]:
            for before, step in zip(run["steps"], run["steps"][1:]):
                step["from"] = before["to"]
            if len(run["steps"]) == 2 and "cause" not in run["steps"][0] and "cause" not in run["steps"][1]:
                run["steps"] = [{**run["steps"][0], "to": run["steps"][1]["to"], "last": run["steps"][1]["last"]}]
        source["gaps"] = len(source["moves"]) + sum("cause" in step for run in source["runs"] for step in run["steps"])
    report["gaps"] = sum(source["gaps"] for source in report["sources"])
    report["unattributed"]["count"] = len(report["unattributed"]["listed"])


# ------------------------------------------------------------------------------------------------ the file

class Signer:
    """Somebody who holds the log's key."""

    def __init__(self, data):
        folder = data / "signer" / "default" / "audit"
        self.key = Ed25519PrivateKey.from_private_bytes(base64.b64decode((folder / "log.key").read_text()))

    def document(self, report, first_line="vestige coverage v1", **statement):
        facts = {"digest": base64.b64encode(sha256(canonical(report).encode())).decode(), "gaps": report["gaps"],
                 "size": int(report["checkpoint"].split("\n")[1]), **statement}
        return self.signed(report, f"{first_line}\n{canonical(facts)}\n")

    def signed(self, report, text):
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        blob = key_id(report["origin"], 1, public) + self.key.sign(text.encode())
        note = f"{text}\n\u2014 {report['origin']} {base64.b64encode(blob).decode()}\n"
        return canonical({"report": report, "statement": note}).encode()


def with_sources(server):
    """A report with something in each of its lists, signed as the server would: no source is needed for it."""
    report = report_of(server)
    mark = {"index": 0, "time": "2026-11-29T14:00:00.000Z"}
    later = {"index": 1, "time": "2026-11-29T14:10:00.000Z"}
    gap = {**later, "cause": "slot_moved", "from": "0/20", "to": "0/30"}
    report["sources"] = [
        {"capture": "bus", "kind": "kafka", "starts": 1, "heartbeat": later, "totals": {"commands": 3, "refused": 1}, "gaps": 2,
         "runs": [{"cluster": "k", "topic": "t", "partition": 0, "from": "0", "to": "4", "steps": [
             {"first": mark, "last": mark, "from": "0", "to": "9"}, {**later, "cause": "offsets_moved", "from": "9", "to": "0"},
             {"first": later, "last": later, "from": "0", "to": "4"}]}],
         "moves": [{**later, "cause": "other_system", "before": "j", "after": "k"}], "snapshots": []},
        {"capture": "crm", "kind": "postgres", "starts": 2, "heartbeat": later, "gaps": 1,
         "totals": {"transactions": 1, "rows": 2, "unattributed": 1},
         "runs": [{"system": "7", "database": "d", "from": "0/10", "to": "0/40", "steps": [
             {"first": mark, "last": mark, "from": "0/10", "to": "0/20"}, gap,
             {"first": later, "last": later, "from": "0/30", "to": "0/40"}]}],
         "moves": [], "snapshots": [{**mark, "at": "0/10", "rows": 5}]}]
    report["gaps"] = 3
    change = {"id": "01930000-0000-8000-8000-000000000001", "action": "UPDATED", "targetType": "t", "capture": "crm", "lsn": "0/18",
              "transaction": 7}
    report["unattributed"] = {"count": 2, "whole": True, "listed": [{**mark, **change}, {**later, **change}]}
    report["refused"] = {"count": 1, "whole": True, "listed": [{**later, "capture": "bus", "topic": "t", "partition": 0, "offset": "3"}]}
    return report


def at(report, path):
    *way, last = path
    for step in way:
        report = report[step]
    return report, last


LATER = {"index": 1, "time": "2026-11-29T14:10:00.000Z"}
CRM_STEPS = ("sources", 1, "runs", 0, "steps")
CONTRADICTIONS = [  # (where, another value)
    (("gaps",), 2), (("unexplained",), 1), (("sources", 1, "gaps"), 0), (("tenant",), "acme"), (("format",), "vestige coverage v2"),
    (("madeAt",), "today"), (("asked",), {"source": None}), (("asked", "from"), 5), (("origin",), "elsewhere/default/audit"),
    (("sources", 1, "capture"), "bu"), (("sources", 1, "kind"), "mysql"), (("sources", 1, "starts"), -1),
    (("sources", 1, "heartbeat"), {"index": 10**9, "time": "2026-11-29T14:10:00.000Z"}),
    (("sources", 1, "heartbeat"), {"index": 0}), (("sources", 1, "totals", "unattributed"), 3),
    (("sources", 1, "totals"), {"commands": 1, "refused": 0}),
    (("sources", 1, "runs", 0, "from"), "0/11"), (("sources", 1, "runs", 0, "to"), "0/41"), (("sources", 1, "runs", 0, "system"), None),
    ((*CRM_STEPS, 0, "to"), "0/1F"), ((*CRM_STEPS, 0, "to"), "here"), ((*CRM_STEPS, 1, "from"), "0/21"), ((*CRM_STEPS, 1, "cause"), ""),
    ((*CRM_STEPS, 1, "cause"), "unexplained"), ((*CRM_STEPS, 2, "last"), {"index": 0, "time": "2026-11-29T14:10:00.000Z"}),
    ((*CRM_STEPS, 1), {"first": LATER, "last": LATER, "from": "0/20", "to": "0/30"}),
    (("sources", 0, "runs", 0, "partition"), "0"), (("sources", 0, "moves"), []), (("sources", 0, "moves", 0, "after"), None),
    (("sources", 1, "snapshots", 0, "rows"), "5"), (("sources", 1, "snapshots", 0, "at"), "5"), (("unattributed", "count"), 3),
    (("unattributed", "whole"), "yes"), (("unattributed", "listed", 1, "index"), 0), (("unattributed", "listed", 0, "lsn"), None),
    (("sources", 1, "runs", 0, "database"), 5), (("sources", 0, "moves", 0, "before"), 5),
    (("unattributed", "listed", 0, "transaction"), "7"),
    (("unattributed", "listed", 0, "id"), 7), (("refused", "listed", 0, "partition"), None),
    (("refused", "listed"), []), (("refused", "listed", 0, "index"), 10**9), (("sources",), {})]


def test_no_byte_of_it_can_be_altered(context):
    server, randomly = context.server(), random.Random(5)
    ask(server, "POST", "/api/events", [event(), event()])
    both, signer = Verifiers(context, server), Signer(server.data)
    real = ask(server, "GET", PATH).body
    both.accept(real)
    both.accept(real + b"\n")
    data = signer.document(with_sources(server))
    assert both.accept(data)["gaps"] == 3
    keys = [parse_vkey(both.vkey)]
    for place in range(len(data)):
        altered = bytearray(data)
        altered[place] ^= 1 << randomly.randrange(8)
        try:
            check_coverage(bytes(altered), keys)
        except Damage:
            continue
        raise AssertionError((place, bytes(altered)))
    for place in randomly.sample(range(len(data)), BYTES_TRIED):
        altered = data[:place] + bytes([data[place] ^ 1 << randomly.randrange(8)]) + data[place + 1:]
        both.refuse(altered)
    for altered in (b"", b"{}", data[:-1], data + b"\n\n", b" " + data, json.dumps(json.loads(data)).encode(),
                    data.replace(b"crm", b"cr\\u006d")):
        both.refuse(altered)
    other = verifiers.vestige_vkey(context.server(data=context.folder / "another"))
    assert context.vestige("verify", "--coverage", both.file, "--vkey", other).status == 1
    assert context.vestige("verify", "--coverage", both.file).status == 2
    assert context.vestige("verify", "--coverage", context.folder / "absent", "--vkey", both.vkey).status == 2


def test_it_contradicts_itself_in_no_way(context):
    """Also where the log's own key signs it."""
    server = context.server()
    ask(server, "POST", "/api/events", [event(), event()])
    both, signer, good = Verifiers(context, server), Signer(server.data), with_sources(server)
    both.accept(signer.document(good))
    for path, value in CONTRADICTIONS:
        lie = copy.deepcopy(good)
        where, name = at(lie, path)
        assert where[name] != value, path
        if value is None:
            del where[name]
        else:
            where[name] = value
        reasons = both.refuse(signer.document(lie))
        assert all(reasons), (path, value, reasons)
    lie = {**copy.deepcopy(good), "more": 1}
    both.refuse(signer.document(lie))
    # Nothing else that the key signs can stand for the statement.
    for text in ("vestige export v1", "vestige coverage v2"):
        both.refuse(signer.document(good, first_line=text))
    both.refuse(signer.document(good, gaps=0))
    both.refuse(signer.document(good, size=1))
    both.refuse(signer.document(good, more=1))
    both.refuse(signer.signed(good, good["checkpoint"].partition("\n\n")[0] + "\n"))
    twice = json.loads(signer.document(good))
    twice["statement"] += "\u2014 somebody.else " + base64.b64encode(bytes(68)).decode() + "\n"
    assert len(parse_note(twice["statement"].encode()).signatures) == 2
    both.refuse(canonical(twice).encode())


def test_the_page_has_a_report_that_both_verifiers_take(context):
    page = PAGE.read_text()
    (document,) = re.findall(r"```coverage\n(.*?)\n```", page, re.S)
    (vkey,) = re.findall(r"verifier key `([^`]+)`", page)
    file = context.folder / "page.coverage"
    file.write_text(document)
    done = context.vestige("verify", "--coverage", file, "--vkey", vkey)
    assert done.status == 0 and done.json()["gaps"] == 1, done
    report, _ = check_coverage(document.encode(), [parse_vkey(vkey)])
    assert report == done.json()["report"]


# ---------------------------------------------------------------------------------------------- who may see it

def test_it_is_of_one_tenant_and_a_look_at_it_is_on_record(context):
    source = invoices(context)
    server = source.server.start()
    source.witnesses.psql("INSERT INTO invoice VALUES (1, 10, 'Quiet GmbH')")
    source.catch_up()
    assert report_of(server)["unattributed"]["count"] > 0
    acme = make_tenant(server, "acme")
    theirs = report_of(server, key=key_by(acme, "read", "admin"))
    assert theirs["sources"] == [] and theirs["unattributed"]["count"] == 0 and theirs["tenant"] == "acme", theirs
    assert '"crm' not in json.dumps(theirs) and theirs["origin"].endswith("/acme/audit")
    assert report_of(server, "?source=erp")["sources"] == []
    assert the_source(report_of(server, "?source=crm"))["kind"] == "postgres"
    for query in ("?source=", "?sources=crm", "?from=yesterday", "?from=2026-01-02T00:00:00Z&to=2026-01-02T00:00:00Z",
                  f"?source={'x' * 65}"):
        answer = ask(server, "GET", PATH + query)
        assert answer.status == 400 and answer.json()["path"] in ("/source", "/sources", "/from", "/to"), (query, answer)
    seen = ask(server, "POST", "/api/access/search", {"action": "VIEWED", "limit": 1000, "order": "asc"}).json()["events"]
    looks = [look for look in seen if look["detail"]["operation"] == "getCoverage"]
    assert [(look.get("targetId"), look["detail"]["outcome"]) for look in looks] == [
        (None, "success"), ("erp", "success"), ("crm", "success")], looks


def test_the_command_shows_it(context):
    source = invoices(context)
    server = source.server.start()
    source.witnesses.psql("INSERT INTO invoice VALUES (1, 10, 'Quiet GmbH')")
    source.catch_up()
    assert server.stop() == 0
    server.start()
    source.catch_up()
    file = context.folder / "now.coverage"
    done = context.vestige("coverage", "--out", file, data=server.data)
    assert done.status == 0 and done.json()["gaps"] == 0 and done.json()["ok"] is True, done
    Verifiers(context, server).accept(pathlib.Path(file).read_bytes())
    done = context.vestige("coverage", "--source", "crm", data=server.data)
    assert done.status == 0 and the_source(done.json()["report"])["gaps"] == 0, done
    assert context.vestige("coverage", "--from", "yesterday", data=server.data).status == 2
    status, shown = on_terminal(context, "coverage", "--unattributed", data=server.data)
    assert status == 0
    for words in ("crm", "postgres", "shop", "No gap.", "public.beacon", "of which nobody said who made", " s before"):
        assert words in shown, (words, shown)
    assert "GmbH" not in shown
