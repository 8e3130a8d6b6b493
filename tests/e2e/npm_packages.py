"""Programs of Node.js that tests run beside the server: their packages, as a lock file names them, are installed once into
build/, from npm's cache there where it has them."""
import shutil
import subprocess

import harness

INSTALL_SECONDS_MAX = 300


def why_not_installed(sources, installed, names, what):
    """Copies package.json, package-lock.json and the files `names` from the folder `sources` into the folder `installed`, and
    installs there. Gives one line that says why it could not, or nothing; `what` is its name in that line."""
    if not shutil.which("node") or not shutil.which("npm"):
        return f"needs node and npm for {what}"
    installed.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", *names):
        shutil.copy(sources / name, installed / name)
    stamp, lock = installed / "installed.lock", (sources / "package-lock.json").read_bytes()
    if stamp.exists() and stamp.read_bytes() == lock:
        return ""
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1",
               "--fetch-timeout=30000", "--cache", str(harness.ROOT / "build" / "npm-cache")]
    try:
        done = subprocess.run(command, cwd=installed, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=INSTALL_SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        return f"npm ci took longer than {INSTALL_SECONDS_MAX} s to install {what}"
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().split("\n")
        said = [line for line in words if line.startswith(("npm ERR!", "npm error"))]
        return f"npm ci cannot install {what}: {(said or words)[0]}"
    stamp.write_bytes(lock)
    return ""
