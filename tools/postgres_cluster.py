"""A PostgreSQL cluster of one's own, for the benchmarks and the end-to-end tests: in a folder that nobody else may enter,
on a Unix socket in it, ended by the id of its process. What is asked goes through psql; nothing of PostgreSQL is linked.

PostgreSQL refuses to run as root: where we are root its programs run as the user `postgres`, and the folder is theirs.
Whoever can enter the folder is let in without a password, so it has to stay closed.
"""
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import time

VERSION = 15
BINARIES = pathlib.Path(f"/usr/lib/postgresql/{VERSION}/bin")
USER = "postgres"
PORT = 5432  # also a part of the socket's name
READY_SECONDS_MAX = 60
END_SECONDS_MAX = 120


class Failed(Exception):
    """PostgreSQL did not do what it was asked; the text is what it said."""


def missing():
    """Why there can be no cluster here; None where there can."""
    for program in ("initdb", "postgres", "psql"):
        if not (BINARIES / program).exists():
            return f"{BINARIES / program} is not there (Debian's package postgresql-{VERSION})"
    if os.geteuid() != 0:
        return None
    if USER not in {entry.pw_name for entry in pwd.getpwall()}:
        return f"it does not run as root, and there is no user {USER}"
    if shutil.which("setpriv") is None:
        return "setpriv is not there, without which root cannot start it as somebody else"
    return None


class Cluster:
    """It may be stopped, killed and started again. `socket` is a folder with a short name, since the path of a socket may
    have some hundred characters."""

    def __init__(self, folder, socket, settings, port=PORT):
        self.folder, self.socket, self.port = pathlib.Path(folder), pathlib.Path(socket), port
        self.settings, self.process = dict(settings), None
        self.data, self.log = self.folder / "cluster", self.folder / "log"

    @staticmethod
    def as_server(line):
        """PostgreSQL's own programs run as somebody who is not root."""
        return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", *line] if os.geteuid() == 0 else line

    def create(self):
        """False where its user cannot reach the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.folder, self.socket):
            folder.chmod(0o700)
            if os.geteuid() == 0:
                shutil.chown(folder, USER, USER)
        if subprocess.run(self.as_server(["test", "-w", self.folder]), check=False, cwd="/").returncode != 0:
            return False
        done = subprocess.run(
            self.as_server([BINARIES / "initdb", "-D", self.data, "-U", USER, "--auth-local=trust",
                            "--auth-host=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]),
            check=False, capture_output=True, text=True, cwd="/")
        if done.returncode != 0:
            raise Failed(f"initdb: {done.stderr.strip()[-500:]}")
        return True

    def start(self):
        return self.launch().wait_until_ready()

    def launch(self):
        """Starts it and does not wait for it."""
        settings = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.as_server([BINARIES / "postgres", "-D", self.data, "-k", self.socket, "-p", str(self.port), *settings]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        return self

    def wait_until_ready(self):
        deadline = time.monotonic() + READY_SECONDS_MAX
        while self.run("SELECT 1").returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"PostgreSQL did not start:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        return self

    def line(self, database=USER):
        """How psql is called, without what is asked."""
        return [BINARIES / "psql", "-h", self.socket, "-p", str(self.port), "-U", USER, "-d", database, "-q", "-X", "-A",
                "-t", "-v", "ON_ERROR_STOP=1"]

    def run(self, text, *options, database=USER):
        """Output and errors as texts, in which carriage returns are kept as they are."""
        done = subprocess.run([*self.line(database), *options], input=text.encode(), capture_output=True, check=False, cwd="/")
        done.stdout, done.stderr = (output.decode("utf-8", "replace") for output in (done.stdout, done.stderr))
        return done

    def stop(self):
        """SIGINT is PostgreSQL's fast shutdown."""
        if not self.running():
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        """kill -9 of the postmaster, which takes all others with it: they see that it is gone and end without a word.
        Waits for that, since a new one refuses to start beside them."""
        self.wait_until_gone(self.send(signal.SIGKILL))

    def send(self, number):
        """A signal to the postmaster; gives the processes that have to be gone before it is started again."""
        if not self.running():
            return []
        others = self.processes()[1:]
        self.process.send_signal(number)
        return others

    def wait_until_gone(self, others):
        if self.process is not None:
            self.process.wait(END_SECONDS_MAX)
        deadline = time.monotonic() + END_SECONDS_MAX
        while any(pathlib.Path(f"/proc/{pid}/exe").exists() for pid in others) and time.monotonic() < deadline:
            time.sleep(0.02)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def processes(self):
        """The postmaster and its children."""
        try:
            text = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        except OSError:
            text = ""
        return [self.process.pid, *map(int, text.split())]
