"""A report on what captures have on record and what they miss (docs/formats/coverage.md): as it stands, and made anew from
the entries of a data directory."""
import re

from .canonical import NotJson, canonical, parse
from .directory import Witness
from .export import is_number, is_object, whole
from .note import ED25519, parse_checkpoint, parse_note, to_base64, verify_note
from .reader import Damage, sha256

FORMAT = "vestige coverage v1"
LISTED_MAX, COUNTED_MAX = 1000, 100_000
UNEXPLAINED, OTHER_SYSTEM = "unexplained", "other_system"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
LSN = re.compile("[0-9A-F]{1,8}/[0-9A-F]{1,8}")
SOURCE_NAME = re.compile(r"[a-z0-9_]{1,64}")
REPORT = ("asked", "checkpoint", "format", "gaps", "madeAt", "origin", "refused", "sources", "tenant", "unattributed", "unexplained")
SOURCE = ("capture", "gaps", "heartbeat", "kind", "moves", "runs", "snapshots", "starts", "totals")
TOTALS = {"postgres": ("rows", "transactions", "unattributed"), "kafka": ("commands", "refused")}
RUN = {"postgres": ("database", "from", "steps", "system", "to"), "kafka": ("cluster", "from", "partition", "steps", "to", "topic")}
CHANGE = ("action", "capture", "id", "index", "lsn", "targetType", "time", "transaction")
REFUSED = ("capture", "index", "offset", "partition", "time", "topic")


def position(kind, text):
    """Of the one spelling."""
    number = None
    if isinstance(text, str) and kind == "kafka" and text.isascii() and text.isdigit() and len(text) <= 20:
        number = int(text)
    elif isinstance(text, str) and kind == "postgres" and LSN.fullmatch(text):
        high, low = text.split("/")
        number = int(high, 16) << 32 | int(low, 16)
    whole(number is not None and number < 1 << 64 and text_of(kind, number) == text, "a position is none")
    return number


def text_of(kind, number):
    return str(number) if kind == "kafka" else f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def others_are_texts(value, *others):
    return all(isinstance(member, str) for name, member in value.items() if name not in others)


def is_time(value):
    return isinstance(value, str) and bool(TIME.fullmatch(value))


# ------------------------------------------------------------------------------------------- as it stands

class Reading:
    def __init__(self, size):
        self.size, self.gaps, self.unexplained = size, 0, 0

    def entry(self, value, members=("index", "time")):
        whole(is_object(value, members) and is_number(value["index"]) and value["index"] < self.size and is_time(value["time"]),
              "what should be an entry of the tree is none")

    def gap(self, value, members):
        self.entry(value, members)
        whole(others_are_texts(value, "index") and value["cause"], "a gap is not what the format says")
        self.gaps += 1
        self.unexplained += value["cause"] == UNEXPLAINED

    def report(self, report):
        sources = report["sources"]
        whole(isinstance(sources, list), "its sources are no list")
        for source in sources:
            self.source(source)
        keys = [(source["capture"], source["kind"] == "kafka") for source in sources]
        whole(keys == sorted(set(keys)), "its sources are not in order, or one is there twice")
        whole((report["gaps"], report["unexplained"]) == (self.gaps, self.unexplained), "it counts other gaps than it has")
        self.listing(report["unattributed"], CHANGE)
        self.listing(report["refused"], REFUSED)

    def source(self, source):
        whole(is_object(source, SOURCE) and source["kind"] in RUN and isinstance(source["capture"], str) and source["capture"]
              and is_number(source["starts"]), "a source is not what the format says")
        kind, before = source["kind"], self.gaps
        if source["heartbeat"] is not None:
            self.entry(source["heartbeat"])
        totals = source["totals"]
        whole(is_object(totals, TOTALS[kind]) and all(is_number(value) for value in totals.values()), "totals are not those of the kind")
        whole(kind == "kafka" or totals["unattributed"] <= totals["rows"], "more rows are unattributed than there are")
        whole(all(isinstance(source[name], list) for name in ("moves", "runs", "snapshots")), "a list is none")
        for run in source["runs"]:
            self.run(kind, run)
        for move in source["moves"]:
            bounds = () if kind == "kafka" else ("from", "to")
            self.gap(move, ("after", "before", "cause", "index", "time", *bounds))
            for name in bounds:
                position(kind, move[name])
        whole(source["gaps"] == self.gaps - before, f"{source['capture']} has other gaps than are counted")
        for snapshot in source["snapshots"]:
            self.entry(snapshot, ("at", "index", "rows", "time"))
            position(kind, snapshot["at"])
            whole(is_number(snapshot["rows"]), "the rows of a snapshot are no number")

    def run(self, kind, run):
        whole(is_object(run, RUN[kind]) and isinstance(run["steps"], list) and others_are_texts(run, "partition", "steps")
              and (kind == "postgres" or is_number(run["partition"])), "the members of a run are not those of its kind")
        at, covered_before = position(kind, run["from"]), False
        for step in run["steps"]:
            whole(isinstance(step, dict) and "from" in step and "to" in step, "a step is not what the format says")
            begin, end = position(kind, step["from"]), position(kind, step["to"])
            whole(begin == at, "the steps of a run do not follow one upon the other")
            at = end
            if "cause" in step:
                self.gap(step, ("cause", "from", "index", "time", "to"))
                covered_before = False
                continue
            whole(is_object(step, ("first", "from", "last", "to")), "a step is not what the format says")
            self.entry(step["first"])
            self.entry(step["last"])
            whole(step["first"]["index"] <= step["last"]["index"], "a step ends before it begins")
            whole(begin < end and not covered_before, "a stretch that is covered is empty, or follows upon another")
            covered_before = True
        whole(at == position(kind, run["to"]), "a run does not end with its last step")

    def listing(self, listing, members):
        whole(is_object(listing, ("count", "listed", "whole")) and is_number(listing["count"]) and isinstance(listing["listed"], list)
              and isinstance(listing["whole"], bool), "a list of entries is not what the format says")
        listed = listing["listed"]
        whole(len(listed) == min(listing["count"], LISTED_MAX), "a list of entries has others than are counted")
        for one in listed:
            self.entry(one, members)
            whole(others_are_texts(one, "index", "partition", "transaction")
                  and is_number(one["partition" if "partition" in one else "transaction"]), "a listed entry is not what the format says")
        indexes = [one["index"] for one in listed]
        whole(indexes == sorted(set(indexes)), "listed entries are not in order")


def check_coverage(data, keys):
    """(report, Checkpoint) of a report that holds; raises Damage."""
    try:
        content = parse(data)
        whole(is_object(content, ("report", "statement")) and isinstance(content["statement"], str)
              and is_object(content["report"], REPORT) and content["report"]["format"] == FORMAT,
              f'it is no report of the format "{FORMAT}"')
        whole(canonical(content) == data.removesuffix(b"\n"), "it is not in canonical form, so it is not as the server wrote it")
        report = content["report"]
        statement = parse_note(content["statement"].encode())
        whole(len(statement.signatures) == 1, "its statement is signed by others as well")
        verify_note(statement, keys)
        asked = report["asked"]
        whole(is_time(report["madeAt"]) and is_object(asked, ("from", "source", "to")) and isinstance(asked["source"], (str, type(None)))
              and all(asked[name] is None or is_time(asked[name]) for name in ("from", "to")) and isinstance(report["checkpoint"], str),
              "a member is not what the format says")
        checkpoint = check_head(report, keys)
        digest = to_base64(sha256(canonical(report)))
        expected = canonical({"digest": digest, "gaps": report["gaps"], "size": checkpoint.size}).decode()
        whole(statement.text == f"{FORMAT}\n{expected}\n", "its statement is of another report")
        Reading(checkpoint.size).report(report)
    except NotJson as error:
        raise Damage(f"it is no JSON: {error}") from error
    return report, checkpoint


def check_head(report, keys):
    note = parse_note(report["checkpoint"].encode())
    verify_note(note, keys)
    checkpoint = parse_checkpoint(note.text)
    whole(all(key.kind != ED25519 or key.name == checkpoint.origin for key in keys) and checkpoint.origin == report["origin"]
          and isinstance(report["tenant"], str) and checkpoint.origin.endswith(f"/{report['tenant']}/audit"),
          "its checkpoint is of another log")
    return checkpoint


# --------------------------------------------------------------------------------------------- made anew

class Fold:
    """What entries of kind system.capture come to, in the order of the log."""

    def __init__(self, asked):
        self.begin, self.end = asked["from"], asked["to"]
        self.within, self.over, self.sources = self.begin is None, False, {}

    def take(self, index, entry):
        if self.over:
            return
        if not self.within and entry["time"] >= self.begin:
            self.begin_span()
        if self.end is not None and entry["time"] >= self.end:
            self.over = True
            return
        detail, mark = entry["detail"], {"index": index, "time": entry["time"]}
        kind = "kafka" if "cluster" in detail else "postgres"
        key = (detail["capture"], kind == "kafka")
        source = self.sources.setdefault(key, {
            "capture": detail["capture"], "kind": kind, "starts": 0, "heartbeat": None, "runs": [], "moves": [], "snapshots": [],
            "told": dict.fromkeys(TOTALS[kind], 0), "before": dict.fromkeys(TOTALS[kind], 0), "system": None})
        source["starts"] += entry["action"] == "STARTED"
        (self.take_kafka if kind == "kafka" else self.take_postgres)(source, entry["action"], detail, mark)
        source["system"] = detail["cluster" if kind == "kafka" else "system"]
        if entry["action"] == "COVERED":
            source["heartbeat"] = mark
            source["told"] = {name: detail.get(name, 0) for name in TOTALS[kind]}

    def begin_span(self):
        self.within = True
        for source in self.sources.values():
            if source["kind"] == "postgres":
                del source["runs"][:-1]
            for run in source["runs"]:
                run["from"], run["steps"] = run["to"], []
            source.update(starts=0, heartbeat=None, moves=[], snapshots=[], before=source["told"])

    def take_postgres(self, source, action, detail, mark):
        if action == "SNAPSHOT_TAKEN":
            source["snapshots"].append({**mark, "at": position("postgres", detail["at"]), "rows": detail["rows"]})
        if action not in ("STARTED", "COVERED", "GAP"):
            return
        begin, runs = position("postgres", detail["from"]), source["runs"]
        if not runs:
            runs.append({"system": detail["system"], "from": begin, "to": begin, "steps": []})
        end = position("postgres", detail["to"]) if "to" in detail else None
        other = runs[-1]["system"] != detail["system"]
        told = action == "GAP" and detail["cause"] == OTHER_SYSTEM and other
        if told:
            reach(runs[-1], begin, mark)
        if other:
            there = (begin, end) if told else (runs[-1]["to"], begin)
            source["moves"].append({**mark, "cause": OTHER_SYSTEM if told else UNEXPLAINED, "before": runs[-1]["system"],
                                    "after": detail["system"], "from": there[0], "to": there[1]})
            runs.append({"system": detail["system"], "from": there[1], "to": there[1], "steps": []})
        if action == "COVERED":
            cover(runs[-1], begin, end, mark)
        elif action == "GAP" and not told:
            miss(runs[-1], begin, end, detail["cause"], mark)
        runs[-1]["database"] = detail["database"]

    def take_kafka(self, source, action, detail, mark):
        moved = action == "GAP" and detail["cause"] == OTHER_SYSTEM
        if moved or source["system"] not in (None, detail["cluster"]):
            source["moves"].append({**mark, "cause": OTHER_SYSTEM if moved else UNEXPLAINED, "before": source["system"] or "",
                                    "after": detail["cluster"]})
        told = detail["partitions"] if action == "COVERED" else [detail] if action == "GAP" and not moved else []
        for one in told:
            begin, end = position("kafka", one["from"]), position("kafka", one["to"])
            names = {"cluster": detail["cluster"], "topic": one["topic"], "partition": one["partition"]}
            run = next((run for run in source["runs"] if names.items() <= run.items()), None)
            if run is None:
                run = {**names, "from": begin, "to": begin, "steps": []}
                source["runs"].append(run)
            if action == "GAP":
                miss(run, begin, end, detail["cause"], mark)
            else:
                cover(run, begin, end, mark)

    def finish(self):
        if not self.within:
            self.begin_span()
        return [shown(source) for _, source in sorted(self.sources.items())]


def reach(run, begin, mark):
    if run["to"] != begin:
        run["steps"].append({**mark, "cause": UNEXPLAINED, "from": run["to"], "to": begin})
        run["to"] = begin


def cover(run, begin, end, mark):
    reach(run, begin, mark)
    if begin == end:
        return
    if not run["steps"] or "cause" in run["steps"][-1]:
        run["steps"].append({"first": mark, "from": begin})
    run["steps"][-1].update(to=end, last=mark)
    run["to"] = end


def miss(run, begin, end, cause, mark):
    reach(run, begin, mark)
    run["steps"].append({**mark, "cause": cause, "from": begin, "to": end})
    run["to"] = end


def shown(source):
    """As the report has it: positions as texts."""
    def texts(value):
        return {name: text_of(source["kind"], part) if name in ("from", "to", "at") else part for name, part in value.items()}
    runs = [texts({**run, "steps": [texts(step) for step in run["steps"]]}) for run in source["runs"]]
    gaps = len(source["moves"]) + sum("cause" in step for run in runs for step in run["steps"])
    return {"capture": source["capture"], "kind": source["kind"], "starts": source["starts"], "heartbeat": source["heartbeat"],
            "totals": {name: max(0, count - source["before"][name]) for name, count in source["told"].items()}, "gaps": gaps,
            "runs": runs, "moves": [texts(move) for move in source["moves"]],
            "snapshots": [texts(snapshot) for snapshot in source["snapshots"]]}


class Recount(Witness):
    """Makes a report anew from the entries of a data directory."""

    def __init__(self, report, checkpoint):
        self.report, self.size, self.root = report, checkpoint.size, checkpoint.root
        self.name = f"{report['tenant']}/audit"
        self.captures, self.listed = {}, {"unattributed": {}, "refused": {}}

    def sizes(self, stream):
        return {self.size} if stream == self.name else set()

    def take(self, stream, index, entry):
        if stream != self.name or index >= self.size:
            return
        source, detail, context = self.report["asked"]["source"], entry.get("detail", {}), entry.get("context", {})
        if entry["kind"] == "system.capture" and source in (None, entry["targetId"]):
            if entry["action"] != "REFUSED":
                self.captures[index] = entry
            elif self.in_span(entry):
                self.listed["refused"][index] = {"index": index, "time": entry["time"], **{name: detail[name] for name in REFUSED
                                                                                          if name in detail}}
        elif is_unattributed(entry, context) and source in (None, context["capture"]) and self.in_span(entry):
            self.listed["unattributed"][index] = {
                "index": index, **{name: entry[name] for name in ("id", "time", "action", "targetType")},
                **{name: context[name] for name in ("capture", "lsn", "transaction")}}

    def in_span(self, entry):
        asked = self.report["asked"]
        return (asked["from"] is None or entry["time"] >= asked["from"]) and (asked["to"] is None or entry["time"] < asked["to"])

    def check(self, stream):
        """Raises Damage where the report is not what the entries of the stream give, or is of another log."""
        whole(stream and stream.roots.get(self.size) == self.root,
              f"the data directory has no tree of {self.size} entries with the root of the report: it is another log, or an older copy")
        fold = Fold(self.report["asked"])
        for index, entry in sorted(self.captures.items()):
            fold.take(index, entry)
        sources = fold.finish()
        listed = {name: [found[index] for index in sorted(found)] for name, found in self.listed.items()}
        made = {"sources": sources, **{name: {"count": min(len(found), COUNTED_MAX), "whole": len(found) < COUNTED_MAX,
                                              "listed": found[:LISTED_MAX]} for name, found in listed.items()}}
        for name, value in made.items():
            whole(canonical(value) == canonical(self.report[name]),
                  f'its member "{name}" is not what the entries of the data directory give')


def is_unattributed(entry, context):
    return (entry["kind"] == "data.change" and context.get("attribution") == "none"
            and entry.get("action") in ("CREATED", "UPDATED", "DELETED", "TRUNCATED") and bool(entry.get("targetType"))
            and isinstance(context.get("capture"), str) and bool(SOURCE_NAME.fullmatch(context["capture"]))
            and is_lsn(context.get("lsn")) and is_number(context.get("transaction")) and context["transaction"] < 1 << 32)


def is_lsn(text):
    try:
        position("postgres", text)
    except Damage:
        return False
    return True
