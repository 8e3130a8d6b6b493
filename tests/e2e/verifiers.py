"""Both verifiers on one data directory: `vestige verify`, and the Python one, which shares no code with it."""
import contextlib
import io
import json
import subprocess
import sys

import harness

sys.path.insert(0, str(harness.ROOT / "tools"))
from vestige_verify import command  # noqa: E402

SECONDS_MAX = 300


def result_of(verifier, status, text, errors=""):
    try:
        result = json.loads(text)
    except ValueError as error:
        raise AssertionError(f"no JSON from {verifier}: status {status}\n{text[-2000:]}\n{errors[-2000:]}") from error
    assert status == (0 if result["ok"] else 1), (verifier, status, result)
    assert result["ok"] == (result["firstBad"] is None), (verifier, result)
    return result


def begin_vestige_verify(data, options):
    line = [str(part) for part in (harness.BINARY, "verify", "--data", data, "--json", *options)]
    return subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=harness.clean_environment())


def end_vestige_verify(child):
    output, errors = child.communicate(timeout=SECONDS_MAX)
    return result_of("vestige verify", child.returncode, output.decode(), errors.decode("utf-8", "replace"))


def vestige_verify(data, *options):
    return end_vestige_verify(begin_vestige_verify(data, options))


def python_verify(data, *options):
    """Its command line, in this process: starting another one for each directory would take longer than the rest."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = command.main([str(data), "--json", *options], "")
    return result_of("vestige_verify.py", status, output.getvalue())


def both(data, *options):
    """By name of the verifier; both at a time."""
    child = begin_vestige_verify(data, options)
    try:
        python = python_verify(data, *options)
    finally:
        vestige = end_vestige_verify(child)
    return {"vestige verify": vestige, "vestige_verify.py": python}


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
