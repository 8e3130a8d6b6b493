"""The files of the repository, for the checks beside this file."""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOT_OURS = {".git", "build", "var", "__pycache__"}


def files(root=ROOT):
    """Paths relative to `root` of all files that are, or are about to be, in the repository; sorted.
    In a folder without git (an unpacked archive): all but what is made by building and running."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, check=False)
    inside = subprocess.run(["git", "-C", str(root), "rev-parse", "--show-toplevel"], capture_output=True, text=True,
                            check=False)
    if listed.returncode == 0 and pathlib.Path(inside.stdout.strip()) == pathlib.Path(root).resolve():
        names = [name for name in listed.stdout.decode().split("\0") if name]
        return sorted(pathlib.Path(name) for name in names if (pathlib.Path(root) / name).is_file())
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in NOT_OURS]
        found += [pathlib.Path(folder, name).relative_to(root) for name in names]
    return sorted(found)


def text(root, file):
    """The text of a file; None if it is not text."""
    data = (pathlib.Path(root) / file).read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def plant(contents):
    """A folder with these files (path -> text), for self-tests. Clean it up with its cleanup()."""
    folder = tempfile.TemporaryDirectory(prefix="vestige-check-")
    for name, content in contents.items():
        file = pathlib.Path(folder.name, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        if content.startswith("#!"):
            file.chmod(0o755)
    return folder


def main(find_offences, planted, clean):
    """The common command line: without arguments checks the repository; with --self-test proves that each
    planted tree (a list of (files, words expected in an offence)) is found and that the clean one is not."""
    name = pathlib.Path(sys.argv[0]).name
    if sys.argv[1:] == ["--self-test"]:
        for contents, words in planted:
            with plant(contents) as folder:
                found = find_offences(pathlib.Path(folder))
            if not any(words in offence for offence in found):
                print(f"{name}: a planted offence was not found ({words}); found instead: {found}")
                return 1
        with plant(clean) as folder:
            found = find_offences(pathlib.Path(folder))
        if found:
            print(f"{name}: an innocent tree was found guilty: {found}")
            return 1
        print(f"{name}: {len(planted)} planted offences found")
        return 0
    if sys.argv[1:]:
        print(f"{name} takes --self-test or nothing.", file=sys.stderr)
        return 2
    found = find_offences(ROOT)
    for offence in found:
        print(offence)
    if found:
        print(f"{name}: {len(found)} offences")
    return 1 if found else 0
