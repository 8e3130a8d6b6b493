"""Commands of a Kafka on their way into the trail: how many a second are durable and searchable, beside Kafka's own
consumer that counts and discards them.

A topic is filled first, so what is timed is the taking alone. Broker and consumers share all cores, as on one machine.
"""
import json
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import kafka_broker  # noqa: E402

TOPIC = "bench.command.v1"
PARTITIONS = 4
PAYLOADS = 20_000
CATCH_UP_SECONDS_MAX = 600
LOOK_AGAIN_SECONDS = 0.05


def why_missing():
    """Kafka and its jars are fetched by what the tests have for it."""
    done = subprocess.run([sys.executable, str(ROOT / "tests" / "kafka" / "prepare.py")], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stdout.strip() or done.stderr.strip()[-300:])


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def run_tool(jars, main, *arguments):
    done = subprocess.run(kafka_broker.java(jars, main, *arguments, level="error"), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"bench: {main}: {(done.stdout + done.stderr).strip()[-800:]}")
    return done.stdout


def write_payloads(file):
    """Commands of some 300 bytes, without ids, each about one of many customers."""
    pick = random.Random(1)
    with open(file, "w", encoding="utf-8") as out:
        for number in range(PAYLOADS):
            out.write(json.dumps({
                "action": pick.choice(["UPDATED", "CREATED", "VIEWED"]), "sourceType": "STAFF", "sourceId": f"agent-{pick.randrange(500)}",
                "targetType": "CUSTOMER", "targetId": f"c-{pick.randrange(100_000)}",
                "changes": [{"field": "phone", "old": f"09{pick.randrange(10**8):08}", "new": f"09{pick.randrange(10**8):08}"}],
                "context": {"requestId": f"r-{number}-{pick.randrange(10**9)}"}, "branch": pick.choice(["Manila", "Cebu", "Davao"])}) + "\n")


def commands_of(url):
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        found = re.search(r"^vestige_capture_rows_total\{[^}]*\} (\d+)", answer.read().decode(), re.M)
    return int(found[1]) if found else 0


def capture(folder, programs, brokers, count, add):
    """From the start of the server until all of it is on record."""
    configuration, log, data = folder / "capture.toml", folder / "server.log", folder / "data"
    configuration.write_text(f'[[capture.kafka]]\nname = "bench"\nbrokers = "{brokers}"\ntopics = ["{TOPIC}"]\n')
    with open(log, "wb") as output:
        process = subprocess.Popen([str(programs / "vestige"), "serve", "--data", str(data), "--port", "0", "--config",
                                    str(configuration)], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + CATCH_UP_SECONDS_MAX
        while "ready: " not in log.read_text(errors="replace"):
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"bench: the server did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(LOOK_AGAIN_SECONDS)
        url, first, began = (data / "LOCK").read_text().strip(), 0, 0.0
        while (done := commands_of(url)) < count:
            if time.monotonic() > deadline:
                raise SystemExit(f"bench: {done} of {count} commands are on record")
            if done and not first:
                # Joining a group takes seconds, and is none of the taking.
                first, began = done, time.monotonic()
            time.sleep(LOOK_AGAIN_SECONDS)
        seconds = time.monotonic() - began
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        add({"measure": "captureCommands", "who": "Vestige, durable and searchable", "commands": count - first, "seconds": seconds,
             "cpuSeconds": (int(fields[11]) + int(fields[12])) / 100})
    finally:
        process.terminate()
        process.wait(CATCH_UP_SECONDS_MAX)
        shutil.rmtree(data, ignore_errors=True)


def measure(folder, programs, sizes, add):
    """Gives why not where Kafka cannot be had."""
    why = why_missing()
    if why:
        return why
    folder.mkdir(parents=True, exist_ok=True)
    jars, count = ROOT / "build" / "kafka" / "jars", sizes["captureCommands"]
    cluster = kafka_broker.Cluster(folder / "kafka", jars, [(free_port(), free_port())])
    cluster.create().start()
    try:
        run_tool(jars, "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", cluster.brokers, "--create", "--topic", TOPIC,
                 "--partitions", PARTITIONS)
        payloads = folder / "payloads"
        write_payloads(payloads)
        run_tool(jars, "org.apache.kafka.tools.ProducerPerformance", "--topic", TOPIC, "--num-records", count, "--throughput", "-1",
                 "--payload-file", payloads, "--producer-props", f"bootstrap.servers={cluster.brokers}", "batch.size=65536", "linger.ms=5")
        capture(folder, programs, cluster.brokers, count, add)
        said = run_tool(jars, "org.apache.kafka.tools.ConsumerPerformance", "--bootstrap-server", cluster.brokers, "--topic", TOPIC,
                        "--messages", count, "--hide-header")
        # start, end, MB, MB/s, messages, messages/s, rebalance ms, fetch ms, fetch MB/s, fetch messages/s
        figures = [part.strip() for part in said.strip().splitlines()[-1].split(",")]
        add({"measure": "captureCommands", "who": "Kafka's own consumer, discarded", "commands": int(figures[4]),
             "seconds": float(figures[7]) / 1000, "cpuSeconds": None})
    except kafka_broker.Failed as error:
        raise SystemExit(f"bench: {error}") from error
    finally:
        cluster.stop()
        cluster.remove()
    return None
