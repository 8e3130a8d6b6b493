#!/usr/bin/env python3
"""What the tests of this folder need and Debian does not have: Apache Kafka's jars, by Maven into build/kafka/jars, and kafkajs,
by npm into build/kafka/client. Run by tests/e2e/run.py before them. What Maven says is in build/kafka/maven.log.

Exit status 77, and a line that says why, where they cannot be had here: the tests are skipped then."""
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import harness  # noqa: E402
import npm_packages  # noqa: E402

INSTALLED = harness.ROOT / "build" / "kafka"
JARS = INSTALLED / "jars"
CLIENT = INSTALLED / "client"
FETCH_SECONDS_MAX = 600
CANNOT = 77


def why_not_fetched():
    """Fetches the jars once; gives one line that says why it could not, or nothing."""
    for tool in ("java", "mvn"):
        if not shutil.which(tool):
            return f"needs {tool} for a Kafka that is not ours"
    stamp, project = INSTALLED / "pom.xml", (HERE / "pom.xml").read_bytes()
    if stamp.exists() and stamp.read_bytes() == project:
        return ""
    shutil.rmtree(JARS, ignore_errors=True)
    INSTALLED.mkdir(parents=True, exist_ok=True)
    log = INSTALLED / "maven.log"
    command = ["mvn", "--batch-mode", "--file", HERE / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={JARS}",
               "-DincludeScope=runtime"]
    try:
        with open(log, "wb") as output:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=FETCH_SECONDS_MAX,
                                  check=False)
    except subprocess.TimeoutExpired:
        return f"Maven took longer than {FETCH_SECONDS_MAX} s to fetch Kafka"
    if done.returncode:
        said = [line for line in log.read_text(errors="replace").split("\n") if "ERROR" in line]
        return f"Maven cannot fetch Kafka (build/kafka/maven.log): {(said or ['it says nothing'])[0][:500]}"
    stamp.write_bytes(project)
    return ""


def main():
    reason = why_not_fetched() or npm_packages.why_not_installed(HERE, CLIENT, ["client.mjs"], "the client of tests/kafka")
    if reason:
        print(reason)
        return CANNOT
    return 0


if __name__ == "__main__":
    sys.exit(main())
