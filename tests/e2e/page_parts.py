"""Runs a page of the documentation from top to bottom in one shell. Its blocks of code without a language are commands; the others
are a test's business: a server that the reader starts in another terminal runs in the background here."""
import re

import harness

PARTED = "== the next block =="
SERVE = "vestige serve --config vestige.toml\n"
# Whatever ends the shell ends what it started.
BEGIN = "set -eo pipefail\ntrap 'kill $server_process $broker_process $forwarder_process 2>/dev/null || true' EXIT\n"
END_SERVER = "kill $server_process; wait $server_process\n"


def blocks(page):
    """(kind, text) of each block, in order."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page, re.M | re.S)


def in_background(line, name, ready):
    """A command that runs beside those that follow, which begin when `ready` holds. `name` names log and process."""
    return f"{line} >>{name}.log 2>&1 & {name}_process=$!\nuntil {ready}; do kill -0 ${name}_process; sleep 0.05; done\n"


def server_in_background(url):
    return in_background(f"{SERVE.strip()} --port {url.rsplit(':', 1)[1]}", "server", f"curl -sf {url}/readyz >/dev/null")


def run(context, script, path):
    """What each block said, of a script whose blocks are parted by lines PARTED; `path` is a list of folders."""
    folder = context.folder
    (folder / "vestige").symlink_to(harness.BINARY)
    environment = harness.clean_environment({"PATH": ":".join(map(str, [folder, *path, "/usr/bin", "/bin"]))})
    output, errors, log = (folder / name for name in ("output", "errors", "server.log"))
    with open(output, "wb") as to, open(errors, "wb") as wrong:
        shell = context.spawn(["bash", "-c", BEGIN + script], stdout=to, stderr=wrong, cwd=folder, env=environment)
        status = shell.wait(harness.COMMAND_SECONDS_MAX)
    assert status == 0, (output.read_text()[-3000:], errors.read_text()[-3000:], log.read_text()[-3000:] if log.exists() else "no server")
    return output.read_text().split(PARTED + "\n")
