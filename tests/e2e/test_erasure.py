"""Defends: who is erased is gone. A person is planted in every kind of field, in the head, the write-ahead log, sealed
segments and answers; after the erasure no file, nothing that any remaining key opens, and no answer has any of her values
in any spelling, every proof still holds, both verifiers say by which entry she was erased, and everybody else's data is
as before. An old copy of the data with the current vault shows nothing; the current data with an old copy of the vault is
refused until the erasure journal is there.

That the search finds what is there is shown each time on the directory before the erasure. It was also shown with two
faults planted in the server: with one that keeps keys in a cache of its own, the person's values stand in answers; with a
vault that forgets the key in memory and leaves its page as it was, they stand in what its keys still open, and both
verifiers name the erasure that was not done.
"""
import base64
import json
import shutil
import subprocess
import time

import harness
import verifiers
from api_parts import ask
from canary import Needles, Person, Search

SEGMENT_ENVIRONMENT = {"VESTIGE_SEGMENT_ROWS_MAX": "4096", "VESTIGE_ORIGIN": "erasure.test"}
FILLING, BATCH = 4200, 600
SEAL_SECONDS_MAX = 60
REASON = "request, article 17"
CHANCE = 2  # words of somebody that a filter may seem to know


def plant(server, *people, first=0, count=6):
    for person in people:
        events = [person.event(first + number) for number in range(count)]
        answer = ask(server, "POST", "/api/events", events)
        assert answer.status == 201, answer


def fill(server):
    """Clear events, until the segment that the first ones are in is sealed."""
    for start in range(0, FILLING, BATCH):
        events = [{"kind": "data.change", "action": "TICKED", "targetId": f"t-{start + number}"} for number in range(BATCH)]
        assert ask(server, "POST", "/api/events", events).status == 201
    deadline = time.monotonic() + SEAL_SECONDS_MAX
    # Its file is there before it counts.
    while b"\nvestige_entries_sealed 0\n" in ask(server, "GET", "/metrics", key=None).body:
        assert time.monotonic() < deadline, "no segment was sealed"
        time.sleep(0.05)


def erase(server, person, reason=REASON):
    answer = ask(server, "POST", "/api/subjects/erase", {"subject": person.id, "reason": reason})
    assert answer.status == 200, answer
    return answer.json()


def path_of(person):
    return "/api/subjects/" + "".join(f"%{byte:02x}" for byte in person.id.encode()) + "/keys"


def events_about(server, ids):
    return {identity: ask(server, "GET", f"/api/events/{identity}").json() for identity in ids}


def answers(server, person, ids):
    """Everything that the server says that could have to do with the person."""
    bodies = [ask(server, "GET", f"/api/events/{identity}{part}").body for identity in ids for part in ("", "/sealed", "/proof")]
    bodies.append(json.dumps(server.search_all(limit=1000), ensure_ascii=False).encode())
    for search in ({"subject": person.id}, {"targetId": person.id}, {"sourceId": person.id}, {"text": person.words["detail"]},
                   {"detail": {"note": person.words["detail"]}}):
        answer = server.request("POST", "/auditlog/events/v2", search)
        if answer.status == 200:
            assert not answer.json()["events"], (search, answer)
            bodies.append(answer.body)
    bodies += [ask(server, "GET", f"/api/export?format={form}").body for form in ("ndjson", "csv")]
    bodies.append(ask(server, "GET", path_of(person)).body)
    bodies.append(ask(server, "GET", "/metrics", key=None).body)
    return bodies


def check_proofs(server, ids, key):
    for identity in ids:
        files = {name: server.data.parent / name for name in ("entry", "proof")}
        files["entry"].write_bytes(ask(server, "GET", f"/api/events/{identity}/sealed").body)
        files["proof"].write_bytes(ask(server, "GET", f"/api/events/{identity}/proof").body)
        done = subprocess.run(["/usr/bin/python3", str(harness.ROOT / "tools/vestige_verify.py"), "--proof", files["proof"],
                               "--entry", files["entry"], "--vkey", key], capture_output=True, check=False)
        assert done.returncode == 0, done


def expect_erased(data, outcome, *options):
    """Both verifiers find all well and say who erased; gives what they say."""
    for name, result in verifiers.expect_well(data, *options).items():
        streams = result["streams"]
        erased = result["erasedBy"] if isinstance(streams, dict) else streams[0]["erasedBy"]
        assert outcome in [each["entry"] for each in erased], (name, result)


def expect_nothing(data, person, sections, *options):
    search = Search(data, *options)
    assert not search.found(person.values()), search.found(person.values())
    assert search.known_to_sidecars(person.searched()) <= CHANCE, search.sidecars
    assert search.unopened >= sections and search.opened_after_all == 0, (search.unopened, search.opened_after_all)
    return search


def test_canary(context):
    gone, other = Person("Adelheid"), Person("Borislav")
    server = context.server(environment=SEGMENT_ENVIRONMENT)
    plant(server, gone, other)
    fill(server)
    plant(server, gone, other, first=6)
    assert ask(server, "POST", "/api/events", gone.event(50, subject=[gone.id, other.id])).status == 201
    ids = [gone.event(number)["id"] for number in (*range(12), 50)]
    other_ids = [other.event(number)["id"] for number in range(12)]
    before = events_about(server, other_ids)
    assert all(value in json.dumps(events_about(server, ids), ensure_ascii=False) for value in gone.words.values())
    copy = context.folder / "copy"
    # While it runs a copy can have a signature over an entry that was copied too early.
    assert server.stop() == 0
    shutil.copytree(server.data, copy)
    shutil.rmtree(copy / "vault")
    server.start()
    shown = Search(server.data)
    assert set(shown.found(gone.values())) == set(gone.values()), "the search does not find what is there"
    assert shown.known_to_sidecars(gone.searched()) == len(gone.searched()), "the sidecars do not know her words"
    assert not any("decrypted" not in places for places in shown.found(gone.values()).values()), "clear on the disk"

    done = erase(server, gone)
    assert erase(server, gone) == done
    key = verifiers.vestige_vkey(server)
    for living in (True, False):
        needles = Needles(gone.values())
        for body in answers(server, gone, ids):
            assert not needles.found_in(body), (needles.found_in(body), body)
        for event in events_about(server, ids).values():
            assert {section["state"] for section in event["sealed"]} <= {"erased", "present"}, event
            assert any(section.get("erasedBy") == done["erasedBy"] for section in event["sealed"]), event
        assert events_about(server, other_ids) == before
        plant(server, gone, first=100 + living)

        check_proofs(server, ids[:3] + other_ids[:2], key)
        expect_nothing(server.data, gone, len(ids))
        expect_erased(server.data, done["erasedBy"])
        if living:
            server.kill()
            expect_nothing(server.data, gone, len(ids))
            server.start()
    assert server.stop() == 0
    search = expect_nothing(server.data, gone, len(ids))
    assert set(search.found(other.values())) == set(other.values()), "somebody else's values are gone as well"
    assert search.known_to_sidecars(other.searched()) == len(other.searched()), "somebody else's words are not found"
    expect_erased(server.data, done["erasedBy"])

    # The copy of before, with the vault of now: its personal sidecars are under keys that are gone.
    now = ("--vault", str(server.data / "vault"))
    assert list(copy.rglob("*.per")) and not Search(copy, *now).sidecars
    old = context.server("--vault-dir", str(server.data / "vault"), data=copy, environment=SEGMENT_ENVIRONMENT)
    needles = Needles(gone.values())
    for body in answers(old, gone, ids[:13]):
        assert not needles.found_in(body), (needles.found_in(body), body)
    assert events_about(old, other_ids) == before
    assert old.search_all(text=other.words["detail"]) and not old.search_all(text=gone.words["detail"])
    old.stop()
    assert Search(copy, *now).known_to_sidecars(gone.searched()) <= CHANCE


def test_later_events_keep_nothing_and_duplicates_are_marked(context):
    person, server = Person("Cordula"), context.server()
    plant(server, person)
    done = erase(server, person)
    again = ask(server, "POST", "/api/events", person.event(0))
    assert again.status == 200 and again.json()["events"][0]["erased"] is True, again
    other_content = ask(server, "POST", "/api/events", person.event(0, action="ELSE"))
    assert other_content.status == 200 and other_content.json()["events"][0]["erased"] is True, other_content
    later = ask(server, "POST", "/api/events", person.event(7)).json()["events"][0]
    event = ask(server, "GET", f"/api/events/{later['id']}").json()
    assert "/detail" in event["discarded"] and "/changes/0/old" in event["discarded"] and "sealed" not in event, event
    assert not Needles(person.values()).found_in(json.dumps(event, ensure_ascii=False).encode()), event
    assert event["context"]["requestId"] == "r-7" and event["action"] == "UPDATED", event
    # A new consent: what comes is kept, what was is gone.
    back = ask(server, "POST", "/api/subjects/reauthorise", {"subject": person.id, "reason": "new contract"})
    assert back.status == 200 and back.json()["state"] == "reauthorised" and back.json()["epoch"] == 1, back
    assert ask(server, "POST", "/api/subjects/reauthorise", {"subject": person.id}).status == 409
    plant(server, person, first=20, count=1)
    kept = ask(server, "GET", f"/api/events/{person.event(20)['id']}").json()
    assert kept["detail"]["note"] == person.words["detail"], kept
    second = erase(server, person)
    assert second["intent"] > done["intent"] and second["certificate"] != done["certificate"], second
    state = ask(server, "GET", path_of(person)).json()
    assert state == {"state": "erased", "epoch": 1, "intent": second["intent"], "erasedBy": second["erasedBy"]}, state
    server.stop()
    expect_nothing(server.data, person, 7)
    expect_erased(server.data, second["erasedBy"])


def test_states_and_wrong_requests(context):
    server, person = context.server(), Person("Dietrich")
    assert ask(server, "GET", path_of(person)).json() == {"state": "never", "epoch": 0}
    plant(server, person, count=1)
    assert ask(server, "GET", path_of(person)).json()["state"] == "active"
    for body, path in (({}, "/subject"), ({"subject": ""}, "/subject"), ({"subject": 1}, "/subject"),
                       ({"subject": "x" * 1025}, "/subject"), ({"subject": "p", "reason": "x" * 1001}, "/reason"),
                       ({"subject": "p", "reason": 5}, "/reason"), ({"subject": "p", "who": 1}, "/who"),
                       ({"subject": "p-1", "reason": "p-1 asked for it"}, "/reason")):
        for operation in ("erase", "reauthorise"):
            answer = ask(server, "POST", f"/api/subjects/{operation}", body)
            assert answer.status == 400 and answer.json()["path"] == path, (body, answer)
    for body in (b"", b"[]", b"{"):
        assert server.request("POST", "/api/subjects/erase", body).status == 400, body
    assert server.request("POST", "/api/subjects/erase", b"{}", headers={"Content-Type": "text/csv"}).status == 415
    for index in ("0", "999999", "x", "-1", "1e3", "18446744073709551616"):
        assert server.request("GET", f"/api/erasures/{index}/certificate").status == 404, index
    # Who was never seen.
    stranger = Person("Eulalia")
    done = erase(server, stranger, "")
    plant(server, stranger, count=1)
    shown = json.dumps(ask(server, "GET", f"/api/events/{stranger.event(0)['id']}").json(), ensure_ascii=False)
    assert not Needles(stranger.values()).found_in(shown.encode()), shown
    kept = ask(server, "GET", done["certificatePath"])
    assert kept.body.decode() == done["certificate"]
    assert ask(server, "GET", path_of(person)).json()["state"] == "active"


def test_an_old_vault_is_refused_until_the_journal_is_there(context):
    person, server = Person("Friedlieb"), context.server()
    plant(server, person)
    server.stop()
    vault, newer, older = server.data / "vault", context.folder / "newer", context.folder / "older"
    shutil.copytree(vault, older)
    server.start()
    done = erase(server, person)
    server.stop()
    vault.rename(newer)
    shutil.copytree(older, vault)
    for name, result in verifiers.both(server.data).items():
        assert not result["ok"] and result["firstBad"]["file"].startswith("vault/"), (name, result)
    refused = context.prepare_server(data=server.data).launch()
    assert refused.wait() == 2
    words = refused.log.read_text()
    assert str(vault / "erased") in words and "older" in words, words
    shutil.copy(newer / "erased", vault / "erased")
    again = context.server(data=server.data)
    ids = [person.event(number)["id"] for number in range(6)]
    for body in answers(again, person, ids):
        assert not Needles(person.values()).found_in(body), body
    assert erase(again, person) == done
    again.stop()
    expect_nothing(server.data, person, 6)
    expect_erased(server.data, done["erasedBy"])


def test_a_vault_without_the_key_and_a_trail_without_the_entry_is_found(context):
    """The key goes, as somebody with the root key can make it go, and nothing in the trail says so."""
    person, server = Person("Gisela"), context.server()
    plant(server, person)
    server.stop()
    before = context.folder / "before"
    shutil.copytree(server.data, before)
    server.start()
    erase(server, person)
    server.stop()
    shutil.rmtree(before / "vault")
    shutil.copytree(server.data / "vault", before / "vault")
    for name, result in verifiers.both(before).items():
        assert not result["ok"] and "without authority" in result["firstBad"]["reason"], (name, result)


def test_erasures_and_events_at_the_same_time_and_a_kill(context):
    """Nothing is refused and nothing crashes while a person's events come in; a kill in between loses no erasure."""
    import threading
    server, people = context.server(), [Person(f"Person{number}") for number in range(4)]
    done, failures = {}, []

    def sends(person, start):
        for number in range(start, start + 30):
            answer = server.request("POST", "/api/events", person.event(number))
            if answer.status not in (200, 201):
                failures.append(answer)

    for person in people:
        plant(server, person, count=1)
    threads = [threading.Thread(target=sends, args=(person, 10)) for person in people]
    for thread in threads:
        thread.start()
    for person in people[:3]:
        done[person.id] = erase(server, person)
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    killer = threading.Thread(target=lambda: server.request("POST", "/api/subjects/erase", {"subject": people[3].id}))
    killer.daemon = True
    threading.excepthook = lambda _: None
    killer.start()
    time.sleep(0.005)
    server.kill()
    killer.join()
    verifiers.expect_well(server.data)
    server.start()
    state = ask(server, "GET", path_of(people[3])).json()["state"]
    assert state in ("active", "erased"), state
    done[people[3].id] = erase(server, people[3])
    for person in people:
        assert erase(server, person) == done[person.id]
    server.stop()
    search = Search(server.data)
    for person in people:
        assert not search.found(person.values()), search.found(person.values())
    assert search.result["ok"], search.result


def test_the_certificate_holds_and_nothing_else_does(context):
    person, server = Person("Hildegard"), context.server("--vault-backup-days", "7")
    plant(server, person)
    done = erase(server, person)
    key, file = verifiers.vestige_vkey(server), context.folder / "certificate"
    server.stop()

    def checked(text, vkey=key):
        file.write_text(text)
        results = {}
        for name, line in (("python", ["/usr/bin/python3", str(harness.ROOT / "tools/vestige_verify.py")]),
                           ("vestige", [str(harness.BINARY), "verify"])):
            done = subprocess.run([*line, "--certificate", str(file), "--vkey", vkey, "--json"], capture_output=True,
                                  check=False, env=harness.clean_environment())
            assert done.returncode in (0, 1), (name, done)
            results[name] = json.loads(done.stdout)
            assert results[name]["ok"] == (done.returncode == 0), (name, done)
        assert results["python"]["ok"] == results["vestige"]["ok"], results
        return results["vestige"]

    certificate = done["certificate"]
    assert not Needles(person.values()).found_in(certificate.encode()), certificate
    good = checked(certificate)
    assert good["ok"], good
    content = json.loads(certificate.split("\n")[1])
    assert content["concerned"]["entries"] == 6 and content["pending"] == [], content
    assert content["intent"]["index"] == done["intent"] and content["outcome"]["index"] == done["erasedBy"], content
    assert content["backupsExpireAt"][:10] != content["erasedAt"][:10], content
    for old, new in (("entries\":6", "entries\":5"), (content["destroyed"][0]["ref"], base64.b64encode(b"\1" * 16).decode()),
                     ("article 17", "article 18"), ("v1\n", "v2\n"), ("\"pending\":[]", "\"pending\":[1]"),
                     (content["intent"]["leaf"], content["outcome"]["leaf"]), ("\u2014 ", "- ")):
        assert old in certificate, old
        assert not checked(certificate.replace(old, new, 1))["ok"], old
    name = key.split("+")[0]
    assert not checked(certificate.replace(name, name + "x"))["ok"], "signed by another log"


def test_every_example_of_the_page_works(context):
    """docs/operating/erasure.md, from top to bottom in one shell, on a server that knows the person of the page. What a
    person would confirm on a terminal is confirmed by --yes."""
    server, folder = context.server(), context.folder
    person = "customer-4711"
    sent = [{"kind": "data.change", "action": "UPDATED", "subject": person, "detail": {"note": "of the page"}}] * 3
    assert ask(server, "POST", "/api/events", sent).status == 201
    (folder / "var").symlink_to(server.data)
    (folder / "vestige").symlink_to(harness.BINARY)
    page = (harness.ROOT / "docs/operating/erasure.md").read_text()
    blocks = [block for block in page.split("```\n")[1::2]]
    assert len(blocks) >= 6, blocks
    script = "set -e\n" + "".join(f"{block}\necho '---'\n" for block in blocks)
    script = script.replace("http://127.0.0.1:8080", server.url).replace("vestige erase", "vestige erase --yes")
    environment = harness.clean_environment({"VESTIGE_DATA": str(server.data), "PATH": f"{folder}:/usr/bin:/bin"})
    done = subprocess.run(["bash", "-c", script], capture_output=True, cwd=folder, env=environment, check=False, text=True)
    assert done.returncode == 0, done
    answers = done.stdout.split("---\n")
    first, second = json.loads(answers[0]), json.loads(answers[1])
    assert first["state"] == "erased" and second == first, answers
    kept = (folder / "customer-4711.certificate").read_text()
    assert kept == first["certificate"], kept
    looked = [json.loads(line) for line in answers[2].replace("}{", "}\n{").splitlines()]
    assert [each["erasedBy"] for each in looked] == [first["erasedBy"]] * 2, looked
    checked = json.loads(answers[4])
    assert checked["ok"] and checked["entries"] == 3 and checked["intent"] == first["intent"], checked
    assert json.loads(answers[5])["state"] == "reauthorised", answers
    assert ask(server, "GET", f"/api/subjects/{person}/keys").json()["epoch"] == 1


def test_the_worked_example_holds(context):
    page = (harness.ROOT / "docs/formats/erasure.md").read_text()
    key = page.split("verifier key `")[1].split("`")[0]
    file = context.folder / "certificate"
    file.write_text(page.split("```certificate\n")[1].split("```")[0])
    for line in (["/usr/bin/python3", str(harness.ROOT / "tools/vestige_verify.py")], [str(harness.BINARY), "verify"]):
        done = subprocess.run([*line, "--certificate", str(file), "--vkey", key, "--json"], capture_output=True, check=False,
                              env=harness.clean_environment())
        assert done.returncode == 0 and json.loads(done.stdout)["ok"], (line, done)
