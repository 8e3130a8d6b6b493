#!/usr/bin/env python3
"""Nothing outside of src/platform talks to the machine by itself: no clocks, randomness, files, sockets, threads
or processes. Only so can a test steer time, tear a write and fail the n-th call. Tests and benchmarks are free."""
import re
import sys

import tree

FILES = "files go through platform/files.h, so that a test can tear, forget and fail them"
CLOCK = "time comes from a platform::Clock&, so that a test can steer it"
RANDOM = "random bytes come from a platform::Entropy&, so that a test can repeat them and keys are fit for use"
SOCKET = "sockets go through http and platform/asio.h"
THREAD = "threads are started by platform (platform/event_loop.h), which knows how to stop them"
PROCESS = "programs and the environment go through platform/process.h"
WAIT = "nothing sleeps: wait for the event itself, or let platform/event_loop.h call at a time"

# What stands before a call of a global function: it is no member, of no other namespace, and no declaration (where a
# type stands before the name).
FREE = r"(?:(?<=return )|(?<![\w>&*] ))(?<![\w.>:~])(?:::|std::)?"
BANNED = [
    (r"(?<![\w>])::(?:open|openat|creat|read|write|pread|pwrite|fsync|fdatasync|rename|unlink|mkdir|rmdir|ftruncate|"
     r"stat|fstat|opendir|flock)\s*\(", FILES),
    (FREE + r"(?:fopen|freopen|fdopen|mkstemp|tmpfile|fsync|fdatasync|pwrite|pread|opendir)\s*\(", FILES),
    (r"\bstd::(?:basic_)?[io]?fstream\b", FILES),
    (r"\bstd::filesystem::(?!path\b)\w+", FILES),
    (r"\b(?:system_clock|steady_clock|high_resolution_clock|file_clock|utc_clock)::now\b", CLOCK),
    (FREE + r"(?:clock_gettime|gettimeofday|localtime|localtime_r|ftime)\s*\(", CLOCK),
    (FREE + r"time\s*\(\s*(?:nullptr|NULL|0|&\w+)\s*\)", CLOCK),
    (FREE + r"(?:rand|srand|random|drand48|rand_r)\s*\(", RANDOM),
    (r"\bstd::(?:random_device|mt19937(?:_64)?|default_random_engine|minstd_rand0?)\b", RANDOM),
    (FREE + r"(?:getrandom|getentropy|arc4random\w*|RAND_bytes|RAND_priv_bytes)\s*\(", RANDOM),
    (FREE + r"(?:socket|accept4?|getaddrinfo|gethostname)\s*\(", SOCKET),
    (r"\bstd::this_thread::sleep_(?:for|until)\b|" + FREE + r"(?:usleep|nanosleep|sleep)\s*\(", WAIT),
    (r"\bstd::(?:jthread|thread|async)\b(?!::(?:id|hardware_concurrency))", THREAD),
    (FREE + r"(?:fork|vfork|popen|posix_spawnp?|execv?p?e?|system)\s*\(", PROCESS),
    (FREE + r"(?:getenv|secure_getenv|setenv|putenv|unsetenv)\s*\(", PROCESS),
    (FREE + r"(?:signal|sigaction|pthread_sigmask|isatty)\s*\(", PROCESS),
]
COMPILED = [(re.compile(pattern), why) for pattern, why in BANNED]

NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![\w])\'(?:\\.|[^\'\\\n])+\'', re.S)


def without_noise(text):
    """The code with comments and literals blanked, line for line."""
    return NOISE.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), text)


def exempt(file):
    return (file.parts[0] != "src" or file.suffix not in (".h", ".cc") or file.parts[1] == "platform"
            or file.stem.endswith(("_test", "_fuzz", "_bench")) or "testing" in file.parts)


def find_offences(root):
    offences = []
    for file in tree.files(root):
        if exempt(file):
            continue
        text = tree.text(root, file)
        if text is None:
            continue
        for number, line in enumerate(without_noise(text).split("\n"), 1):
            for pattern, why in COMPILED:
                match = pattern.search(line)
                if match:
                    offences.append(f"{file}:{number}: {match.group(0).strip()}: {why}")
    return offences


GOOD = {
    "src/platform/a.cc": "int f = ::open(path, 0); auto t = std::chrono::steady_clock::now();\n",
    "src/base/a_test.cc": "std::thread t; std::mt19937 r;\n",
    "src/base/a.cc": "// ::open(x) and std::thread\n/* fork() */ auto s = \"time(nullptr)\"; auto f = files.open(x);\n"
                     "UnixMs time() const; auto n = clock.now(); auto x = Files::open(y); event.time(0); auto c = '\"';\n"
                     "std::filesystem::path p; std::thread::id me; auto q = R\"(fopen(\"x\"))\"; h.rand(); v::socket(a);\n"
                     "Stream& socket() { return socket_; }\nstd::uint64_t random(int n);\nbool signal(int);\n",
}
PLANTED = [({"src/base/a.cc": line + "\n"}, words) for line, words in (
    ("int f = ::open(path, 0);", "platform/files.h"), ("FILE* f = fopen(p, m);", "platform/files.h"),
    ("std::ofstream out(p);", "platform/files.h"), ("std::filesystem::remove(p);", "platform/files.h"),
    ("auto t = std::chrono::system_clock::now();", "platform::Clock"), ("auto t = steady_clock::now();", "platform::Clock"),
    ("auto t = time(nullptr);", "platform::Clock"), ("auto t = std::time(NULL);", "platform::Clock"),
    ("int r = rand();", "platform::Entropy"), ("return random();", "platform::Entropy"), ("std::random_device d;", "platform::Entropy"),
    ("getrandom(p, n, 0);", "platform::Entropy"), ("int s = ::socket(a, b, c);", "sockets"),
    ("std::this_thread::sleep_for(x);", "nothing sleeps"), ("std::thread t(f);", "event_loop.h"),
    ("if (fork() == 0) {", "platform/process.h"), ("popen(c, m);", "platform/process.h"),
    ("auto e = std::getenv(n);", "platform/process.h"))]

if __name__ == "__main__":
    sys.exit(tree.main(find_offences, PLANTED, GOOD))
