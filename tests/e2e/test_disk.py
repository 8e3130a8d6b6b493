"""Defends: a full disk stops writes with 503 and a message that says what to do, and nothing else: reads, search, proofs
and figures go on, nothing acknowledged is lost, and when there is space again writes resume by themselves. No request
meets another 5xx. With the reserve that the server leaves free it starts again on the full disk; where something else
took even that, the start is refused in words and harms nothing."""
import json
import os
import random
import subprocess
import sys
import time
import uuid

import harness
import verifiers

sys.path.insert(0, str(harness.ROOT / "tools"))
from vestige_verify.note import parse_vkey, verify_proof  # noqa: E402

DISK_MEBIBYTES = 192
BALLAST_STEP_BYTES = 1 << 20
RESUME_SECONDS_MAX = 20
ENVIRONMENT = {"VESTIGE_SEGMENT_ROWS_MAX": "4096", "VESTIGE_WAL_BYTES_MAX": "128MiB",
               "VESTIGE_DISK_RESERVE_BYTES": "40MiB"}
RESERVE_BYTES = 40 << 20


class Disk:
    """A small file system in memory. Unmounted when the block ends, after the servers on it."""

    def __init__(self, context, mebibytes):
        self.context, self.mebibytes = context, mebibytes
        self.folder = context.folder / "disk"
        self.ballast = self.folder / "ballast"

    def __enter__(self):
        self.folder.mkdir()
        options = f"size={self.mebibytes}m,mode=0700"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)], capture_output=True,
                              check=False, text=True)
        if done.returncode != 0:
            self.context.skip(f"cannot mount a tmpfs here: {done.stderr.strip()}")
        return self

    def __exit__(self, *_):
        self.context.end_all()
        subprocess.run(["umount", str(self.folder)], check=True)

    def fill(self, leave_bytes=0):
        """Takes all blocks but so many bytes."""
        with open(self.ballast, "ab", buffering=0) as file:
            for step in (BALLAST_STEP_BYTES, 4096):
                try:
                    while self.free_bytes() >= leave_bytes + step and file.write(bytes(step)) == step:
                        pass
                except OSError:
                    pass

    def free_bytes(self):
        figures = os.statvfs(self.folder)
        return figures.f_bavail * figures.f_frsize

    def clear(self):
        self.ballast.unlink()


class Writer:
    """Sends batches and remembers what was acknowledged."""

    def __init__(self, server):
        self.server, self.random, self.known = server, random.Random(7), {}

    def send(self, count=200, text_bytes=2000):
        text = "long " * (text_bytes // 5)
        events = [{"id": str(uuid.UUID(int=self.random.getrandbits(128), version=4)), "kind": "data.change",
                   "action": "UPDATED", "targetType": "ACCOUNT", "targetId": f"a-{self.random.randrange(100)}",
                   "detail": {"note": text, "number": self.random.getrandbits(40)}} for _ in range(count)]
        answer = self.server.post_events(events)
        if answer.status == 201:
            for event, receipt in zip(events, answer.json()["events"]):
                self.known[event["id"]] = (receipt["index"], receipt["leaf"], event["detail"]["number"])
        else:
            expect_told_what_to_do(answer)
        return answer.status

    def send_until(self, status, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.send() == status:
                return
        raise AssertionError(f"no write was answered with {status} within {seconds} s")

    def check_all(self):
        found = {event["id"]: (event["index"], event["leaf"], event["detail"]["number"])
                 for event in self.server.search_all(kind="data.change", limit=500)}
        lost = self.known.keys() - found.keys()
        assert not lost, f"{len(lost)} acknowledged events are not there"
        assert all(found[known] == self.known[known] for known in self.known)


def expect_told_what_to_do(answer):
    assert answer.status == 503, answer
    assert answer.headers["Content-Type"].startswith("application/problem+json"), answer.headers.items()
    problem = answer.json()
    assert problem["status"] == 503 and problem["detail"], problem


def expect_reads_alive(server, writer, signed_id):
    """`signed_id`: of an event that a checkpoint covers."""
    for path in ("/healthz", "/metrics", "/tlog/default/audit/checkpoint", "/tlog/default/audit/tile/0/000", "/api/keys",
                 f"/api/events/{signed_id}", f"/api/events/{signed_id}/sealed"):
        answer = server.request("GET", path)
        assert answer.status == 200, (path, answer)
    newest = max(writer.known, key=lambda known: writer.known[known][0])
    answer = server.request("GET", f"/api/events/{newest}")
    assert answer.status == 200 and answer.json()["index"] == writer.known[newest][0], answer
    page = server.search(targetType=["ACCOUNT"], limit=5)
    assert page["events"][0]["id"] == newest, page
    proof = server.request("GET", f"/api/events/{signed_id}/proof")
    assert proof.status == 200, proof
    sealed = server.request("GET", f"/api/events/{signed_id}/sealed").body
    vkey = verifiers.vestige_vkey(server)
    index, _ = verify_proof(proof.body, sealed, [parse_vkey(vkey)])
    assert index == writer.known[signed_id][0]


def fill_until_refused(disk, writer, leave_bytes=0):
    """The last problem body. What the log has reserved already is still written."""
    disk.fill(leave_bytes)
    writer.send_until(503, 60)
    answer = writer.server.post_events({"kind": "data.change", "action": "X", "detail": {"note": "x" * 900_000}})
    expect_told_what_to_do(answer)
    return answer.json()


def test_a_full_disk_stops_writes_and_nothing_else(context):
    with Disk(context, DISK_MEBIBYTES) as disk:
        server = context.server(data=disk.folder / "data", environment=ENVIRONMENT)
        writer = Writer(server)
        for _ in range(30):
            assert writer.send() == 201
        signed = next(iter(writer.known))
        assert server.request("GET", f"/api/events/{signed}/proof").status == 200
        problem = fill_until_refused(disk, writer)
        print(json.dumps(problem), disk.free_bytes())
        assert "disk" in problem["detail"] and "space" in problem["detail"], problem
        expect_reads_alive(server, writer, signed)
        time.sleep(1.5)  # housekeeping comes by once a second and must live with it
        expect_reads_alive(server, writer, signed)
        writer.check_all()
        disk.clear()
        writer.send_until(201, RESUME_SECONDS_MAX)
        for _ in range(10):
            assert writer.send() == 201
        writer.check_all()
        assert server.stop() == 0
        verifiers.expect_sound(server.data)


def test_a_restart_on_a_full_disk_loses_nothing(context):
    with Disk(context, DISK_MEBIBYTES) as disk:
        server = context.server(data=disk.folder / "data", environment=ENVIRONMENT)
        writer = Writer(server)
        for _ in range(30):
            assert writer.send() == 201
        signed = next(iter(writer.known))
        fill_until_refused(disk, writer, leave_bytes=RESERVE_BYTES)
        for end in (server.kill, server.stop, server.kill):
            end()
            server.start()
            assert writer.send() in (201, 503)
            expect_reads_alive(server, writer, signed)
            writer.check_all()
            verifiers.expect_well(server.data)
        disk.clear()
        writer.send_until(201, RESUME_SECONDS_MAX)
        writer.check_all()
        assert server.stop() == 0
        verifiers.expect_sound(server.data)


def test_a_start_without_any_space_is_refused_and_harms_nothing(context):
    with Disk(context, DISK_MEBIBYTES) as disk:
        server = context.server(data=disk.folder / "data", environment=ENVIRONMENT)
        writer = Writer(server)
        for _ in range(30):
            assert writer.send() == 201
        server.kill()
        for leave_bytes in (0, 100_000, 2_000_000):
            disk.fill(leave_bytes)
            assert server.launch().wait() not in (0, None)
            words = server.log.read_text().strip().split("\n")[-1]
            assert "space" in words, words
            verifiers.expect_sound(server.data)
            disk.clear()
        server.start()
        writer.check_all()
        assert writer.send() == 201
        assert server.stop() == 0
        verifiers.expect_sound(server.data)
