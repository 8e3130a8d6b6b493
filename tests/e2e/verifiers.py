"""Both verifiers on one data directory: `vestige verify`, and the Python one, which shares no code with it."""
import json
import subprocess
import sys

import harness

PYTHON_VERIFIER = harness.ROOT / "tools" / "vestige_verify.py"
SECONDS_MAX = 300


def result_of(line):
    done = subprocess.run([str(part) for part in line], stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          timeout=SECONDS_MAX, env=harness.clean_environment())
    text = done.stdout.decode("utf-8", "replace")
    try:
        result = json.loads(text)
    except ValueError as error:
        raise AssertionError(f"no JSON from {line}: status {done.returncode}\n{text[-2000:]}\n"
                             f"{done.stderr.decode('utf-8', 'replace')[-2000:]}") from error
    assert done.returncode == (0 if result["ok"] else 1), (line, done.returncode, result)
    assert result["ok"] == (result["firstBad"] is None), (line, result)
    return result


def vestige_verify(data, *options):
    return result_of([harness.BINARY, "verify", "--data", data, "--json", *options])


def python_verify(data, *options):
    return result_of([sys.executable, PYTHON_VERIFIER, data, "--json", *options])


def both(data, *options):
    """By name of the verifier."""
    return {"vestige verify": vestige_verify(data, *options), "vestige_verify.py": python_verify(data, *options)}


def expect_well(data, *options):
    """Both find all well; gives what they say. For beside a running server too."""
    results = both(data, *options)
    for name, result in results.items():
        assert result["ok"], (name, result)
    return results


def expect_sound(data, *options):
    """Both find all well, and the same tree; gives its size and root."""
    results = expect_well(data, *options)
    trees = {(result["size"], result["root"]) for result in results.values()}
    assert len(trees) == 1, results
    return trees.pop()


def vestige_vkey(server):
    """The verifier key of the audit log, as `vestige checkpoint --vkey` prints it."""
    done = subprocess.run([str(harness.BINARY), "checkpoint", "--vkey", "--data", str(server.data)],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60,
                          env=harness.clean_environment())
    assert done.returncode == 0, done
    return done.stdout.decode().strip()
