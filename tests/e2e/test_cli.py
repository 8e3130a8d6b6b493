"""Defends: the command line finds its server and key by itself, imports each record once, finds, follows and
proves events, and its exit codes and outputs are what --help says, also where the server is not there."""
import gzip
import json
import os
import pty
import random
import signal
import subprocess
import threading
import time

import harness

EVENT = {"kind": "data.change", "action": "UPDATED", "targetType": "ACCOUNT", "sourceType": "USER", "sourceId": "u-7",
         "detail": {"note": "limit raised"}}
DPKG_LINES = """2026-01-01 10:00:00 startup archives unpack
2026-01-01 10:00:01 install zstd:amd64 <none> 1.5.4
2026-01-01 10:00:01 status half-installed zstd:amd64 1.5.4
2026-01-01 10:00:02 status installed zstd:amd64 1.5.4
"""


def events(count, **fields):
    return [{**EVENT, "targetId": f"A-{number}", **fields} for number in range(count)]


def write_lines(path, objects):
    path.write_text("".join(json.dumps(each) + "\n" for each in objects))
    return path


def on_terminal(context, *arguments, data):
    """Runs a command with a terminal as its standard output; gives (status, output)."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen([str(harness.BINARY), *map(str, arguments), "--data", str(data)], stdin=subprocess.DEVNULL,
                             stdout=theirs, stderr=subprocess.PIPE, cwd=context.folder, env=harness.clean_environment())
    os.close(theirs)
    output = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        output += piece
    os.close(ours)
    child.stderr.close()
    return child.wait(), output.decode("utf-8", "replace").replace("\r\n", "\n")


def test_version_and_help_need_nothing(context):
    done = context.vestige("--version")
    assert (done.status, done.output) == (0, "vestige 0.1.0\n"), done
    done = context.vestige("--help")
    assert done.status == 0 and "VESTIGE_URL" in done.output and "LOCK" in done.output, done
    for command in ("serve", "import", "query", "record", "history", "tail", "verify", "reindex", "prove",
                    "checkpoint", "key", "erase", "subject", "reauthorise", "bench"):
        assert f"vestige {command}" in done.output, f"no example of {command}\n{done}"
        own = context.vestige(command, "--help")
        assert own.status == 0 and "Examples:" in own.output and f"vestige {command}" in own.output, own


def test_wrong_command_lines_are_usage_errors(context):
    for line in ([], ["fly"], ["query", "--limit", "0"], ["query", "--limit", "x"], ["query", "--all", "--limit", "3"],
                 ["query", "--order", "sideways"], ["query", "--from", "yesterday"], ["query", "--detail", "[]"],
                 ["query", "--id", "17"], ["import"], ["import", "/nowhere"], ["prove"], ["prove", "x"], ["key"],
                 ["key", "create", "x", "--scopes", "fly"], ["key", "create", "x"], ["tail", "--from", "-1"],
                 ["prove", "--check", "a", "b"], ["prove", "--check", "a", "b", "--vkey", "c"],
                 ["serve", "--port", "65536"], ["serve", "--config", "/nowhere.toml"], ["serve", "extra"]):
        done = context.vestige(*line, environment={"VESTIGE_URL": "http://127.0.0.1:1", "VESTIGE_KEY": "k"})
        assert done.status == 2, (line, done)
        assert done.errors.strip() and not done.output, (line, done)


def test_without_a_server_it_says_where_it_looked(context):
    data = context.folder / "nothing"
    done = context.vestige("query", data=data)
    assert done.status == 3 and "--url" in done.errors and str(data / "LOCK") in done.errors, done
    server = context.server()
    server.post_events(EVENT)
    assert context.vestige("query", data=server.data).status == 0
    server.stop()
    done = context.vestige("query", data=server.data)
    assert done.status == 3, done
    done = context.vestige("query", "--url", server.url, "--key", "k")
    assert done.status == 3 and server.url in done.errors, done
    done = context.vestige("query", "--url", server.url)
    assert done.status == 2 and "--key" in done.errors, done


def test_a_wrong_setting_ends_the_start(context):
    config = context.folder / "vestige.toml"
    config.write_text('data = "x"\nprot = 1\n')
    done = context.vestige("serve", "--config", config)
    assert done.status == 2 and "prot" in done.errors and "port" in done.errors, done
    done = context.vestige("serve", environment={"VESTIGE_PORT": "eighty"})
    assert done.status == 2 and "VESTIGE_PORT" in done.errors, done


def test_query_pages_filters_and_prints(context):
    server = context.server()
    for start in range(0, 2500, 500):
        batch = events(2500, context={"run": 1})[start:start + 500]
        assert server.post_events(batch).status == 201
    data = server.data
    page = context.vestige("query", "--limit", 3, data=data)
    assert page.status == 0, page
    body = page.json()
    assert len(body["events"]) == 3 and body["cursor"] and body["tree"]["size"] >= 2500, page
    rest = context.vestige("query", "--limit", 3, "--cursor", body["cursor"], data=data).json()
    assert rest["events"][0]["index"] == body["events"][-1]["index"] - 1, rest
    everything = context.vestige("query", "--all", "--kind", "data.change", "--order", "asc", data=data)
    targets = [json.loads(line)["targetId"] for line in everything.output.splitlines()]
    assert targets == [f"A-{number}" for number in range(2500)], everything
    found = context.vestige("query", "--target", "A-17", "--target-type", "OTHER", "--target-type", "ACCOUNT",
                            "--source-id", "u-7", "--source-type", "USER", "--action", "UPDATED", "--detail",
                            '{"note":"limit raised"}', "--text", "raised", "--from", "2020-01-01T00:00:00Z", "--to",
                            "2100-01-01T00:00:00Z", data=data).json()["events"]
    assert [event["targetId"] for event in found] == ["A-17"], found
    identifier = found[0]["id"]
    assert len(context.vestige("query", "--id", identifier, data=data).json()["events"]) == 1
    missing = context.vestige("query", "--id", "01930000-0000-7000-8000-00000000dead", data=data)
    assert missing.status == 1 and missing.json()["events"] == [], missing
    nothing = context.vestige("query", "--target", "nobody", data=data)
    assert nothing.status == 0 and nothing.json()["events"] == [], nothing


def test_a_terminal_gets_a_table_that_no_event_can_forge(context):
    server = context.server()
    server.post_events({**EVENT, "targetId": "evil\x1b[2J\n999 forged\u202e", "sourceId": "u" * 300})
    status, output = on_terminal(context, "query", "--kind", "data.change", data=server.data)
    assert status == 0 and output.startswith("INDEX"), output
    assert "\x1b" not in output and "\u202e" not in output, repr(output)
    assert len(output.splitlines()) == 3, output
    status, output = on_terminal(context, "query", "--kind", "data.change", "--json", data=server.data)
    assert json.loads(output)["events"][0]["sourceId"] == "u" * 300


def test_ndjson_import_takes_each_record_once(context):
    server = context.server()
    # Two of them are equal, and none has an id.
    records = events(2100) + [{**EVENT, "targetId": "A-0"}]
    path = write_lines(context.folder / "events.ndjson", records)
    packed = context.folder / "more.ndjson.gz"
    packed.write_bytes(gzip.compress(json.dumps({**EVENT, "targetId": "G"}).encode() + b"\n"))
    done = context.vestige("import", path, packed, data=server.data)
    assert done.status == 0, done
    assert done.json() == {"files": [
        {"path": str(path), "format": "ndjson", "records": 2101, "accepted": 2101, "duplicates": 0},
        {"path": str(packed), "format": "ndjson", "records": 1, "accepted": 1, "duplicates": 0}],
        "records": 2102, "accepted": 2102, "duplicates": 0, "complete": True}, done
    again = context.vestige("import", path, packed, data=server.data).json()
    assert (again["accepted"], again["duplicates"]) == (0, 2102), again
    assert len(server.search_all(kind="data.change")) == 2102
    piped = context.vestige("import", "--format", "ndjson", "-", data=server.data, stdin=path.read_bytes()).json()
    assert (piped["accepted"], piped["duplicates"]) == (0, 2101), piped


def test_a_refused_record_is_named_and_what_was_before_stays(context):
    server = context.server()
    records = events(1500)
    records[1200]["kind"] = "no.such.kind"
    path = write_lines(context.folder / "events.ndjson", records)
    done = context.vestige("import", path, data=server.data)
    assert done.status == 1 and "line 1201" in done.errors, done
    assert done.json()["accepted"] == 1000 and done.json()["complete"] is False, done
    assert len(server.search_all(kind="data.change")) == 1000
    records[1200]["kind"] = "data.change"
    write_lines(path, records)
    repaired = context.vestige("import", path, data=server.data).json()
    assert (repaired["accepted"], repaired["duplicates"]) == (500, 1000), repaired


def test_dpkg_import_reads_rotated_files_oldest_first(context):
    server = context.server()
    lines = DPKG_LINES.splitlines(keepends=True)
    newest, older, oldest = (context.folder / name for name in ("dpkg.log", "dpkg.log.2.gz", "dpkg.log.10.gz"))
    oldest.write_bytes(gzip.compress("".join(lines[:2]).encode()))
    older.write_bytes(gzip.compress(lines[2].encode()))
    newest.write_text(lines[3] + lines[3])
    done = context.vestige("import", newest, older, oldest, data=server.data)
    assert done.status == 0, done
    assert [file["path"] for file in done.json()["files"]] == [str(oldest), str(older), str(newest)], done
    assert all(file["format"] == "dpkg" for file in done.json()["files"]), done
    assert done.json()["accepted"] == 5, done
    assert context.vestige("import", oldest, older, newest, data=server.data).json()["accepted"] == 0


def test_git_import_takes_each_commit_once(context):
    server = context.server()
    repository = context.folder / "repository"
    git = ["git", "-C", str(repository), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    for number in range(7):
        (repository / "file").write_text(str(number))
        subprocess.run([*git, "add", "file"], check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", f"Change {number}"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    done = context.vestige("import", "--format", "git", repository, data=server.data)
    assert done.status == 0 and done.json()["accepted"] == 7, done
    assert len(context.vestige("query", "--target", head, data=server.data).json()["events"]) == 1
    assert context.vestige("import", repository, data=server.data).json()["duplicates"] == 7


class Following:
    """A `vestige tail` whose lines are collected."""

    def __init__(self, context, *arguments):
        self.lines = []
        self.child = context.spawn([harness.BINARY, "tail", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.child.stdout:
            self.lines.append(json.loads(line))

    def wait_for(self, count, seconds=60):
        deadline = time.monotonic() + seconds
        while len(self.lines) < count and time.monotonic() < deadline and self.child.poll() is None:
            time.sleep(0.02)
        assert len(self.lines) >= count, (len(self.lines), count, self.child.poll())

    def end(self):
        self.child.send_signal(signal.SIGINT)
        self.child.wait(harness.END_SECONDS_MAX)
        self.reader.join(harness.END_SECONDS_MAX)


def test_tail_follows_across_restarts_without_gap_or_repeat(context):
    server = context.server()
    server.post_events(events(5))
    tail = Following(context, "--from", "0", "--data", server.data)
    tail.wait_for(5)
    for restart in range(3):
        for _ in range(20):
            assert server.post_events(events(random.randint(1, 3))).status == 201
        if restart == 1:
            server.kill()
        else:
            server.stop()
        server.start()
        assert server.post_events(events(1)).status == 201
    size = server.search(limit=1)["tree"]["size"]
    tail.wait_for(size)
    tail.end()
    assert [event["index"] for event in tail.lines[:size]] == list(range(size))


def test_tail_begins_with_the_last_few(context):
    server = context.server()
    server.post_events(events(20))
    size = server.search(limit=1)["tree"]["size"]
    done = context.vestige("tail", "-n", 4, "--count", 4, data=server.data)
    assert done.status == 0, done
    assert [json.loads(line)["index"] for line in done.output.splitlines()] == list(range(size - 4, size)), done
    done = context.vestige("tail", "--from", 2, "--count", 3, data=server.data)
    assert [json.loads(line)["index"] for line in done.output.splitlines()] == [2, 3, 4], done


def test_a_proof_is_checked_without_the_server(context):
    server = context.server()
    receipt = server.post_events(events(30)).json()
    event = receipt["events"][17]
    done = context.vestige("prove", event["id"], data=server.data)
    assert done.status == 0, done
    told = done.json()
    assert told["ok"] and told["index"] == event["index"] and told["leaf"] == event["leaf"], told
    proof, entry = context.folder / f"{event['id']}.tlog-proof", context.folder / f"{event['id']}.json"
    assert (told["proofFile"], told["entryFile"]) == (proof.name, entry.name), told
    key = context.folder / "log.vkey"
    key.write_text(context.vestige("checkpoint", "--vkey", data=server.data).output)
    assert key.read_text().strip() == told["verifierKey"], told
    server.stop()
    for given in (key, told["verifierKey"]):
        checked = context.vestige("prove", "--check", proof, entry, "--vkey", given)
        assert checked.status == 0 and checked.json()["index"] == event["index"], checked
    entry.write_bytes(entry.read_bytes().replace(b"A-17", b"A-18"))
    checked = context.vestige("prove", "--check", proof, entry, "--vkey", key)
    assert checked.status == 1 and checked.json()["ok"] is False, checked


def test_prove_writes_where_it_is_told_and_names_what_is_missing(context):
    server = context.server()
    event = server.post_events(EVENT).json()["events"][0]
    (context.folder / "out").mkdir()
    done = context.vestige("prove", event["id"], "--out", "out/p", "--entry", "out/e", data=server.data)
    assert done.status == 0 and (context.folder / "out/p").exists() and (context.folder / "out/e").exists(), done
    status, words = on_terminal(context, "prove", event["id"], data=server.data)
    assert status == 0 and words.startswith("Proven:") and "--check" in words, words
    done = context.vestige("prove", "01930000-0000-7000-8000-00000000dead", data=server.data)
    assert done.status == 1 and not list(context.folder.glob("*dead*")), done
    other = "example.org/default/audit+00000000+AAAA"
    done = context.vestige("prove", event["id"], "--vkey", other, "--out", "never", data=server.data)
    assert done.status == 1 and not (context.folder / "never").exists(), done


def test_checkpoint_needs_no_key_and_is_the_note_itself(context):
    server = context.server()
    server.post_events(EVENT)
    done = context.vestige("checkpoint", "--url", server.url)
    assert done.status == 0 and done.output.splitlines()[0].endswith("/default/audit"), done
    as_json = context.vestige("checkpoint", "--url", server.url, "--json").json()
    assert as_json["origin"] == done.output.splitlines()[0] and as_json["size"] >= 1, as_json
    assert as_json["note"].startswith(as_json["origin"] + "\n"), as_json


def test_keys_are_created_listed_and_revoked(context):
    server = context.server()
    made = context.vestige("key", "create", "--scopes", "ingest", "billing", data=server.data)
    assert made.status == 0, made
    several = context.vestige("key", "create", "auditor", "--scopes", "read,ingest", data=server.data)
    assert several.status == 0 and set(several.json()["scopes"]) == {"ingest", "read"}, several
    key = made.json()
    assert key["scopes"] == ["ingest"] and key["name"] == "billing", key
    assert server.post_events(EVENT, key=key["key"]).status == 201
    denied = context.vestige("query", "--url", server.url, "--key", key["key"])
    assert denied.status == 1 and "403" in denied.errors, denied
    listed = context.vestige("key", "list", data=server.data)
    assert key["id"] in [each["id"] for each in listed.json()["keys"]] and key["key"] not in listed.output, listed
    assert context.vestige("key", "revoke", key["id"], data=server.data).status == 0
    assert server.post_events(EVENT, key=key["key"]).status == 401
    assert context.vestige("key", "revoke", key["id"], data=server.data).status == 1
    unknown = context.vestige("query", "--url", server.url, environment={"VESTIGE_KEY": "not-a-key"})
    assert unknown.status == 1 and "401" in unknown.errors, unknown


def test_settings_come_from_file_environment_and_line(context):
    config = context.folder / "vestige.toml"
    config.write_text('origin = "of.file"\nserver_location = "cellar"\n')
    for extra, environment, origin in (([], {}, "of.file"), ([], {"VESTIGE_ORIGIN": "of.environment"}, "of.environment"),
                                       (["--origin", "of.line"], {"VESTIGE_ORIGIN": "of.environment"}, "of.line")):
        server = context.server("--config", str(config), *extra, data=context.folder / origin, environment=environment)
        server.post_events(EVENT)
        done = context.vestige("checkpoint", data=server.data)
        assert done.output.splitlines()[0] == f"{origin}/default/audit", done
        server.stop()
