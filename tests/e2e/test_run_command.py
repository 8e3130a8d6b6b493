"""Defends: ./run starts the server, imports both demo trails, says what an operator has to know, refuses a
busy port in words, and hands Ctrl-C and the exit status through."""
import os
import pathlib
import signal
import socket
import subprocess
import time

import harness

RUN_SECONDS_MAX = 240


def launch(context, port, *options):
    output = open(context.folder / "run.log", "ab")  # stays open as long as the child writes
    return context.spawn([harness.ROOT / "run", "--binary", harness.BINARY, "--data", context.folder / "var",
                          "--port", port, *options], stdout=output, stderr=output)


def wait_for(context, child, words):
    log = pathlib.Path(context.folder / "run.log")
    deadline = time.monotonic() + RUN_SECONDS_MAX
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        if words in text:
            return text
        assert child.poll() is None, f"./run ended with status {child.returncode}:\n{text}"
        time.sleep(0.1)
    raise AssertionError(f"./run did not print {words!r}:\n{text}")


def test_run_starts_imports_verifies_and_stops(context):
    port = harness.free_port()
    child = launch(context, port)
    text = wait_for(context, child, "Try, in another terminal")
    for words in (f"http://127.0.0.1:{port}", "admin.key", "vault/root.key", "Ctrl-C", "Demo trail"):
        assert words in text, (words, text)
    assert (context.folder / "var" / "vault" / "root.key").exists()
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 0, (context.folder / "run.log").read_text()


def commits():
    done = subprocess.run(["git", "-C", harness.ROOT, "rev-list", "HEAD"], capture_output=True, text=True, check=False)
    return set(done.stdout.split()) if done.returncode == 0 else set()


def test_second_run_adds_nothing(context):
    expected = commits()
    if not expected:
        context.skip("this folder comes without commit history")
    for _ in range(2):
        port = harness.free_port()
        child = launch(context, port)
        wait_for(context, child, "Try, in another terminal")
        (context.folder / "run.log").write_text("")
        server = harness.Server(context.folder / "var", [], context.folder / "none.log", None)
        server.port = port
        targets = [entry["targetId"] for entry in server.search_all(targetType=["COMMIT"], limit=1000)]
        assert len(targets) == len(set(targets)), "a commit was imported twice"
        assert expected <= set(targets), f"{len(expected - set(targets))} commits are not in the trail"
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0


def test_busy_port_is_said(context):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        child = launch(context, port)
        assert child.wait(30) == 2
    text = (context.folder / "run.log").read_text()
    assert f"Port {port}" in text and "--port" in text, text
    assert not os.path.exists(context.folder / "var"), "a refused start left files"


def test_folder_without_history_is_said(context):
    copy = context.folder / "unpacked"
    (copy / "tools").mkdir(parents=True)
    for name in ("run", "tools/setup.sh", "tools/packages.txt"):
        (copy / name).write_bytes((harness.ROOT / name).read_bytes())
    (copy / "run").chmod(0o755)
    output = open(context.folder / "run.log", "ab")  # stays open as long as the child writes
    child = context.spawn([copy / "run", "--binary", harness.BINARY, "--data", context.folder / "var",
                           "--port", harness.free_port()], stdout=output, stderr=output)
    text = wait_for(context, child, "Try, in another terminal")
    assert "No commit history" in text, text
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 0


def test_the_release_build_configures_in_an_empty_folder(context):
    """What ./run builds is not built here, which would take minutes; that it can be begun is seen at once."""
    done = subprocess.run(["cmake", "--preset", "release", "-S", str(harness.ROOT), "-B", str(context.folder / "build")],
                          cwd=harness.ROOT, capture_output=True, text=True, timeout=RUN_SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
