"""Trails to tamper with: a sound directory, the same one at an earlier time, and another one with the same events."""
import atexit
import pathlib
import random
import shutil
import tempfile
import time

import harness
from forging import FOLDER

ENVIRONMENT = {"VESTIGE_SEGMENT_ROWS_MAX": "4096", "VESTIGE_WAL_BYTES_MAX": "128MiB", "VESTIGE_ORIGIN": "tampering.test"}
PACKAGE_LINES_MAX = 4000
MANY_EVENTS, BATCH, PERSONAL_EVERY = 4400, 100, 10
SEGMENTS, SEAL_SECONDS_MAX = 2, 30


class Trails:
    """`sound` was stopped in order; `older` is the same directory a few thousand entries before; `foreign` another one
    with the same events."""

    def __init__(self, context):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vestige-e2e-trails-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.packages = self.package_log()
        self.sound, self.older, self.foreign = (self.folder / name for name in ("sound", "older", "foreign"))
        self.grow(context, self.sound, self.import_real)
        shutil.copytree(self.sound, self.older)
        for step in (self.post_many, self.post_some):
            self.grow(context, self.sound, step)
        for step in (self.import_real, self.post_many, self.post_some):
            self.grow(context, self.foreign, step)

    def package_log(self):
        """The newest lines of the machine's own log; a few made up ones where it has none."""
        log = pathlib.Path("/var/log/dpkg.log")
        lines = log.read_text().splitlines() if log.exists() else []
        if len(lines) < PACKAGE_LINES_MAX:
            lines += [f"2026-01-0{1 + number % 9} 10:00:00 status installed made-up-{number}:all 1.{number}"
                      for number in range(PACKAGE_LINES_MAX - len(lines))]
        file = self.folder / "dpkg.log"
        file.write_text("\n".join(lines[-PACKAGE_LINES_MAX:]) + "\n")
        return file

    def grow(self, context, data, step):
        server = context.server(data=data, environment=ENVIRONMENT)
        step(context, server)
        assert server.stop() == 0
        (data / "LOCK").unlink()

    def import_real(self, context, server):
        has_history = (harness.ROOT / ".git").exists()  # not where the files were copied without it
        for form, source in [("git", harness.ROOT)] * has_history + [("dpkg", self.packages)]:
            done = context.vestige("import", "--format", form, source, data=server.data)
            assert done.status == 0, done

    def post_many(self, _, server):
        """Until there are two segments; the next start leaves in the log what is in neither."""
        for start in range(0, MANY_EVENTS, BATCH):
            self.post(server, start)
        deadline = time.monotonic() + SEAL_SECONDS_MAX
        while len(list((server.data / FOLDER).glob("*.ids"))) < SEGMENTS:
            assert time.monotonic() < deadline, "the segments are not sealed"
            time.sleep(0.05)

    def post_some(self, _, server):
        for start in range(MANY_EVENTS, MANY_EVENTS + 4 * BATCH, BATCH):
            self.post(server, start)

    def post(self, server, start):
        randomly = random.Random(start)
        answer = server.post_events([event(number, randomly.randbytes(20).hex()) for number in range(start, start + BATCH)])
        assert answer.status == 201, answer


def event(number, note):
    made = {"id": f"{number:08x}-0000-4000-8000-000000000000", "kind": "data.change", "action": "OPENED",
            "targetType": "TICKET", "targetId": f"t-{number}", "detail": {"note": note}}
    if number % PERSONAL_EVERY:
        return made
    person = f"c-{number % 700}"
    return {**made, "action": "UPDATED", "targetType": "CUSTOMER", "targetId": person,
            "subject": person if number % (2 * PERSONAL_EVERY) else [person, "c-900"],
            "changes": [{"field": "phone", "old": "555-1", "new": f"555-{number}"}]}
