"""What a figure was measured on: without it none can be compared."""
import os
import pathlib
import platform
import subprocess


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_bytes():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def file_system(path):
    """Kind of the file system that holds the path, by the longest mount point above it."""
    best, kind = "", "unknown"
    for line in pathlib.Path("/proc/mounts").read_text().split("\n"):
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        inside = str(path) == point or str(path).startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind


def commit(root):
    """The commit that was measured, and whether files differ from it."""
    def git(*arguments):
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False).stdout.strip()
    name = git("rev-parse", "--short=10", "HEAD") or "unknown"
    return name + (" with changes" if git("status", "--porcelain", "--untracked-files=no") else "")


def describe(root, directory):
    return {"cpu": cpu_model(), "cores": len(os.sched_getaffinity(0)), "memoryBytes": memory_bytes(),
            "fileSystem": file_system(directory.resolve()), "kernel": platform.release(), "commit": commit(root),
            "loadBefore": os.getloadavg()[0]}
