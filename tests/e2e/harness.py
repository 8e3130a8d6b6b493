"""What an end-to-end test holds in its hands: a folder, servers, the command line, a small HTTP client.

Standard library only. Nothing outside of the test's own folder is written, and only processes that were
started here are ended.
"""
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = pathlib.Path(os.environ.get("VESTIGE_BINARY", ROOT / "build" / "e2e" / "vestige"))
SHARED_DATA = ROOT.parent / "shared" / "data"
READY_SECONDS_MAX = 60
END_SECONDS_MAX = 30
COMMAND_SECONDS_MAX = 300
PORTS = 10_000, 32_000  # below those that Linux gives to connections (net.ipv4.ip_local_port_range)
PORT_TRIES_MAX = 1000
ports_kept = []


class Skipped(Exception):
    """This test cannot run here; the text says why."""


class Answer:
    """An HTTP answer, read whole."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:600]!r}"


class Command:
    """What a vestige command printed, and its exit status."""

    def __init__(self, status, output, errors):
        self.status, self.output, self.errors = status, output, errors

    def json(self):
        return json.loads(self.output)

    def __repr__(self):
        return f"status {self.status}\n{self.output[-2000:]}\n{self.errors[-2000:]}"


def free_port():
    """A port for a server that comes, goes and comes back: nobody's connection gets it meanwhile, since the system takes others
    for those, and no test that runs beside this one, since a datagram socket keeps the number as long as this process runs."""
    for _ in range(PORT_TRIES_MAX):
        port = random.randrange(*PORTS)
        mark = socket.socket(type=socket.SOCK_DGRAM)
        try:
            mark.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        ports_kept.append(mark)
        return port
    raise AssertionError(f"none of {PORT_TRIES_MAX} ports from {PORTS[0]} to {PORTS[1]} is free on 127.0.0.1")


def clean_environment(extra=None):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VESTIGE_")}
    environment.update(extra or {})
    return environment


class Server:
    """One `vestige serve` on a data folder. It may be stopped, killed and started again on the same folder."""

    def __init__(self, data, options, log, environment):
        self.data, self.options, self.log, self.environment = data, options, log, environment
        self.process = None
        self.port = free_port()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self):
        return (self.data / "admin.key").read_text().strip()

    def launch(self):
        """Starts the process and does not wait for it."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(BINARY), "serve", "--data", str(self.data), "--port", str(self.port), "--listen", "127.0.0.1",
                 *self.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=clean_environment(self.environment))
        return self

    def start(self):
        return self.launch().wait_until_ready()

    def wait_until_ready(self):
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with status {self.process.returncode} before it was ready")
            try:
                if self.request("GET", "/readyz", key=None, seconds_max=5).status == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"the server was not ready within {READY_SECONDS_MAX} s")

    def stop(self, number=signal.SIGTERM):
        """Ends it as an operator would; gives its exit status."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def kill(self):
        """kill -9."""
        return self.stop(signal.SIGKILL)

    def wait(self):
        return self.process.wait(END_SECONDS_MAX)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def request(self, method, path, body=None, key="admin", headers=None, seconds_max=60):
        """One request on a connection of its own. `body`: bytes as they are, anything else as JSON.
        `key`: "admin" for the first key, None for none, or a key."""
        head = dict(headers or {})
        if key:
            head.setdefault("Authorization", f"Bearer {self.key if key == 'admin' else key}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            head.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds_max)
        try:
            connection.request(method, path, body=body, headers=head)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()

    def post_events(self, events, **options):
        return self.request("POST", "/api/events", events, **options)

    def search(self, **body):
        answer = self.request("POST", "/auditlog/events/v2", body)
        assert answer.status == 200, answer
        return answer.json()

    def search_all(self, **body):
        """All events that match, over as many pages as it takes."""
        events, cursor = [], None
        while True:
            page = self.search(**({**body, "cursor": cursor} if cursor else body))
            events += page["events"]
            cursor = page["cursor"]
            if cursor is None:
                return events


class Context:
    """One test's world."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.servers, self.children, self.others = [], [], []

    def at_end(self, function):
        """Is called after the test, when its servers are gone, whatever became of it."""
        self.others.append(function)

    def skip(self, reason):
        raise Skipped(reason)

    def shared_data(self, path):
        """A file of the test data beside the project. The test is skipped where that folder is missing, and
        fails where the folder is there and the file is not."""
        if not SHARED_DATA.is_dir():
            self.skip(f"needs the test data folder for {path}")
        file = SHARED_DATA / path
        assert file.exists(), f"{path} is missing from the test data folder"
        return file

    def prepare_server(self, *options, data=None, environment=None):
        """A server that is not started yet."""
        data = pathlib.Path(data) if data else self.folder / "data"
        log = self.folder / f"server{len(self.servers)}.log"
        server = Server(data, options, log, environment)
        self.servers.append(server)
        return server

    def server(self, *options, data=None, environment=None):
        """A server that answers."""
        return self.prepare_server(*options, data=data, environment=environment).start()

    def vestige(self, *arguments, data=None, stdin=None, environment=None):
        """Runs a vestige command; `data` adds --data. Gives a Command."""
        line = [str(BINARY), *[str(argument) for argument in arguments]]
        if data:
            line += ["--data", str(data)]
        done = subprocess.run(line, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
                              capture_output=True, cwd=self.folder, timeout=COMMAND_SECONDS_MAX, check=False,
                              env=clean_environment(environment))
        return Command(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))

    def spawn(self, line, **options):
        """Starts any other program in a process group of its own; it is ended after the test."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("env", clean_environment())
        child = subprocess.Popen([str(argument) for argument in line], start_new_session=True, **options)
        self.children.append(child)
        return child

    def end_all(self):
        for server in self.servers:
            if server.running():
                server.process.kill()
                server.process.wait()
        for function in self.others:
            function()
        for child in self.children:
            # Asked first: what it started in groups of their own, only it can end.
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(END_SECONDS_MAX)
                except subprocess.TimeoutExpired:
                    pass
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()

    def last_words(self):
        """The ends of the servers' logs."""
        words = ""
        for server in self.servers:
            if server.log.exists():
                text = server.log.read_text(errors="replace").strip().split("\n")[-30:]
                words += f"\n--- end of {server.log.name}\n" + "\n".join(text)
        return words
