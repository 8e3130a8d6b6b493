"""Random values of every type that PostgreSQL brings, as the text of a literal. A type of the catalogue that is neither here nor
among those that take no input makes all_types() fail, so that a newer PostgreSQL is noticed."""
import json
import string

TEXTS = ["", " ", "NULL", "null", "{}", "\\", "\\x41", "'", '"', "a\nb\r\n\tc", "Zoë 東京 🙂", "%s $1 ?", "ends in a blank ", "\x7f\x01"]
# Kept by the system for itself: no literal makes one.
NO_INPUT = {"pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list", "pg_brin_bloom_summary",
            "pg_brin_minmax_multi_summary", "gtsvector"}


def text(rng):
    return rng.choice(TEXTS) if rng.random() < 0.5 else "".join(rng.choices(string.printable, k=rng.randrange(80))).replace("\0", "")


def name(rng):
    return "".join(rng.choices(string.ascii_letters + " _-\"'", k=rng.randrange(1, 60)))


def bits(rng, length=None):
    return "".join(rng.choices("01", k=rng.randrange(1, 70) if length is None else length))


def integer(bits_count):
    low, high = -(1 << bits_count - 1), (1 << bits_count - 1) - 1
    return lambda rng: str(rng.choice([0, -1, 1, low, high, rng.randint(low, high), rng.randint(-1000, 1000)]))


def unsigned(bits_count):
    return lambda rng: str(rng.choice([0, 1, (1 << bits_count) - 1, rng.getrandbits(bits_count)]))


def floating(rng):
    return rng.choice(["NaN", "Infinity", "-Infinity", "-0", "0", "1e-30", "1.5", "0.1", "1e21", "123456", "1e15", "1e16",
                       repr(rng.uniform(-1, 1)), repr(rng.uniform(-1e30, 1e30))])


def numeric(rng):
    digits = "".join(rng.choices(string.digits, k=rng.randrange(1, 40)))
    return rng.choice(["NaN", "Infinity", "-Infinity", "0", "0.0", "1.50", "-7", digits, f"-{digits}.{digits[::-1]}", "1e-20", "9007199254740993",
                       f"0.{digits}", "1" + "0" * 25])


def date(rng):
    return rng.choice(["infinity", "-infinity", "0044-03-15 BC", "5874897-12-31",
                       f"{rng.randrange(1, 9999):04}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"])


def time(rng):
    return f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}" + rng.choice(["", f".{rng.randrange(10**6):06}"])


def timestamp(rng):
    return rng.choice(["infinity", "-infinity", f"0044-03-15 {time(rng)} BC", f"294276-12-31 {time(rng)}",
                       f"{rng.randrange(1, 9999):04}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02} {time(rng)}"])


def zone(rng):
    return f"{rng.choice('+-')}{rng.randrange(14):02}:{rng.randrange(60):02}"


def timestamptz(rng):
    moment = f"{rng.randrange(1, 9999):04}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02} {time(rng)}"
    return rng.choice(["infinity", "-infinity", moment + zone(rng), moment])


def interval(rng):
    return rng.choice(["0", "-1 day", f"{rng.randrange(-900, 900)} years {rng.randrange(-11, 12)} mons {rng.randrange(-99, 99)} days "
                       f"{rng.randrange(-99, 99)}:{rng.randrange(60):02}:{rng.randrange(60):02}.{rng.randrange(10**6):06}"])


def value(rng, depth=0):
    """Any JSON."""
    if depth < 4 and rng.random() < 0.4:
        if rng.random() < 0.5:
            return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
        return {name(rng): value(rng, depth + 1) for _ in range(rng.randrange(4))}
    return rng.choice([None, True, False, 0, -1, 1.5, rng.randrange(-10**6, 10**6), rng.choice(TEXTS)])


def json_text(rng):
    odd = ["1.50", '{"a": 12345678901234567890, "b": [1.0]}', "1e5", "[" * 40 + "1" + "]" * 40, '{"z": 1,   "a": 2, "z": 3}']
    return rng.choice(odd) if rng.random() < 0.3 else json.dumps(value(rng), ensure_ascii=rng.random() < 0.5)


def jsonb_text(rng):
    """Not JSON's own null: in the trail that and SQL's are the same."""
    text = json_text(rng)
    return text if text != "null" else "[null]"


def number(rng):
    return str(rng.choice([0, 1.5, -2.25, rng.randrange(-1000, 1000), rng.uniform(-10, 10)]))


def point(rng):
    return f"({number(rng)},{number(rng)})"


def points(rng):
    return ",".join(point(rng) for _ in range(rng.randrange(1, 5)))


def address(rng):
    return rng.choice([".".join(str(rng.randrange(256)) for _ in range(4)), "2001:db8::%x" % rng.getrandbits(16), "::ffff:1.2.3.4"])


def network(rng):
    return rng.choice([f"10.{rng.randrange(256)}.0.0/16", "2001:db8::/32", "0.0.0.0/0", "192.168.7.1/32"])


def mac(length):
    return lambda rng: ":".join(f"{rng.randrange(256):02x}" for _ in range(length))


def words(rng):
    return " ".join("".join(rng.choices(string.ascii_lowercase, k=rng.randrange(1, 9))) for _ in range(rng.randrange(1, 6)))


def between(make, least, most):
    """A range of two values that make() gives for numbers."""
    def literal(rng):
        low = rng.randint(least, most - 1)
        high = rng.randint(low + 1, most)
        return rng.choice(["empty", f"[{make(low)},{make(high)})", f"({make(low)},{make(high)}]", f"(,{make(high)})", f"[{make(low)},)", "(,)"])
    return literal


def several(make):
    return lambda rng: "{" + ",".join(make(rng) for _ in range(rng.randrange(3))) + "}"


def of(*choices):
    return lambda rng: rng.choice(choices)


def day(number_of_days):
    return f"2026-{number_of_days // 28 + 1:02}-{number_of_days % 28 + 1:02}"


def moment(number_of_days):
    return f'"{day(number_of_days)} 12:30:00.5"'


RANGES = {"int4": between(str, -1000, 1000), "int8": between(str, -10**15, 10**15), "num": between(lambda n: f"{n}.50", -1000, 1000),
          "date": between(day, 0, 300), "ts": between(moment, 0, 300), "tstz": between(moment, 0, 300)}
MAKERS = {
    "bool": of("t", "f"), "int2": integer(16), "int4": integer(32), "int8": integer(64), "oid": unsigned(32), "float4": floating, "float8": floating,
    "numeric": numeric, "money": lambda rng: str(rng.randrange(-10**12, 10**12) / 100), "char": of("a", " ", "Z"), "name": name, "text": text,
    "varchar": text, "bpchar": text, "bytea": lambda rng: "\\x" + rng.randbytes(rng.randrange(200)).hex(), "bit": lambda rng: bits(rng, 1),
    "varbit": bits, "uuid": lambda rng: f"{rng.getrandbits(128):032x}", "date": date, "time": time, "timetz": lambda rng: time(rng) + zone(rng),
    "timestamp": timestamp, "timestamptz": timestamptz, "interval": interval, "json": json_text, "jsonb": jsonb_text,
    "jsonpath": of("$.a[*] ? (@.b > 1)", "strict $", "$.\"x y\""), "xml": of("<a b=\"1\">x &amp; y</a>", "text", "<a/><b/>"), "point": point,
    "lseg": lambda rng: f"[{point(rng)},{point(rng)}]", "line": lambda rng: f"{{1,{number(rng)},{number(rng)}}}",
    "box": lambda rng: f"{point(rng)},{point(rng)}", "path": lambda rng: rng.choice(["({})", "[{}]"]).format(points(rng)),
    "polygon": lambda rng: f"({points(rng)})", "circle": lambda rng: f"<{point(rng)},{rng.randrange(100)}>", "inet": address, "cidr": network,
    "macaddr": mac(6), "macaddr8": mac(8), "tsvector": lambda rng: " ".join(f"{word}:{place}" for place, word in enumerate(words(rng).split(), 1)),
    "tsquery": lambda rng: " & ".join(words(rng).split()), "xid": unsigned(32), "xid8": unsigned(63), "cid": unsigned(32),
    "tid": lambda rng: f"({rng.getrandbits(32)},{rng.getrandbits(16)})", "pg_lsn": lambda rng: f"{rng.getrandbits(32):X}/{rng.getrandbits(32):X}",
    "pg_snapshot": of("10:20:10,14,15", "3:3:"), "txid_snapshot": of("10:20:10,14,15", "3:3:"), "refcursor": name,
    "int2vector": of("1 2 3", "", "-7"), "oidvector": of("1 2 3", "", "4294967295"), "aclitem": of("postgres=r/postgres", "=rw*/postgres"),
    "regclass": of("pg_class", "pg_type", "4000000000"), "regcollation": of('"C"', '"POSIX"'), "regconfig": of("simple", "english"),
    "regdictionary": of("simple",), "regnamespace": of("public", "pg_catalog"), "regoper": of("pg_catalog.||/", "0"),
    "regoperator": of("+(integer,integer)", "-(bigint,bigint)"), "regproc": of("now", "boolin"), "regprocedure": of("abs(numeric)", "now()"),
    "regrole": of("postgres",), "regtype": of("integer", "text[]"),
    **{f"{base}range": make for base, make in RANGES.items()}, **{f"{base}multirange": several(make) for base, make in RANGES.items()},
}


def array(make):
    """Of one dimension or two, with nulls, or empty."""
    def element(rng):
        literal = make(rng)
        return "NULL" if rng.random() < 0.2 else '"' + literal.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def literal(rng):
        rows = ["{" + rng.choice([",", ", "]).join(element(rng) for _ in range(3)) + "}" for _ in range(2)]
        return rng.choice(["{}", rows[0], "{" + ",".join(rows) + "}"])
    return literal


def box_array(make):
    """The one type whose elements are parted by semicolons."""
    return lambda rng: rng.choice(["{}", f"{{{make(rng)};{make(rng)}}}"])


def all_types(psql):
    """Every type that a column can have: its name in SQL, and what makes a literal of it."""
    names = [row[0] for row in psql("""SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace
      AND typtype IN ('b', 'r', 'm') AND typcategory <> 'A' AND typname NOT LIKE 'pg\\_toast%' ORDER BY typname""")]
    unknown = set(names) - set(MAKERS) - NO_INPUT
    assert not unknown, f"PostgreSQL has types that nobody makes values of: {sorted(unknown)}"
    found = []
    for each in names:
        if each in NO_INPUT:
            continue
        quoted = f'pg_catalog."{each}"'
        found.append((quoted, MAKERS[each]))
        found.append((quoted + "[]", (box_array if each == "box" else array)(MAKERS[each])))
    return found
