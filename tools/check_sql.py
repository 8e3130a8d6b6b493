#!/usr/bin/env python3
"""SQL stands in *_store.cc only, in the part that SQLite and PostgreSQL both know; and what soci::use() and
soci::into() get is a named variable, since a statement runs after the temporaries of its expression are gone. What
src/sources asks other people's databases is no SQL of ours: it is in the words of the one that is asked."""
import re
import sys

import tree

STATEMENT = re.compile(r"\b(?:CREATE (?:UNIQUE )?(?:TABLE|INDEX)|ALTER TABLE|INSERT INTO|DELETE FROM|SELECT\b.+?\bFROM)\s|"
                       r"\bUPDATE \S+ SET\b", re.S)
LITERAL = re.compile(r'//[^\n]*|R"(\w*)\((?P<raw>.*?)\)\1"|"(?P<text>(?:\\.|[^"\\\n])*)"', re.S)
# Where two literals stand side by side they are one statement.
GAP = re.compile(r"(?:\s|//[^\n]*\n)*")
WORDS = {
    r"\bAUTOINCREMENT\b|\bSERIAL\b|\bIDENTITY\b": "take the number from state/sequence.h",
    r"\b(?:_?ROWID|OID|CTID)\b": "order by a column of the table",
    r"\bINSERT OR\b|\bREPLACE INTO\b|\bUPDATE OR\b": "use ON CONFLICT (...) DO UPDATE or DO NOTHING",
    r"\bPRAGMA\b|\bsqlite_\w+|\bpg_\w+|\bVACUUM\b|\bATTACH\b": "that is src/state's business",
    r"\b(?:STRFTIME|JULIANDAY|UNIXEPOCH|DATETIME|NOW|CURRENT_TIMESTAMP|CURRENT_DATE)\b": "bind the time of a platform::Clock",
    r"\b(?:RANDOM|RANDOMBLOB|GEN_RANDOM_UUID)\s*\(": "bind bytes of a platform::Entropy",
    r"\b(?:IFNULL|NVL|IIF|TYPEOF|HEX|PRINTF|GROUP_CONCAT|STRING_AGG|TOTAL|INSTR|CHANGES|LAST_INSERT_\w+)\s*\(":
        "only one of the two has that function",
    r"\b(?:BLOB|BYTEA|REAL|DOUBLE|FLOAT|BOOLEAN|BOOL|TIMESTAMP|TIMESTAMPTZ|JSONB?|UUID|INT8|INT4|TINYINT)\b(?!\.)":
        "columns are BIGINT, INTEGER or TEXT",
    r"\b(?:LIKE|ILIKE|GLOB|REGEXP)\b": "the two differ in case; compare a normal form, or a blind index",
    r"\bCOLLATE\b|\bSTRICT\b|\bWITHOUT\b|\bINDEXED BY\b|\bUNLOGGED\b": "only one of the two knows that",
    r"\bLIMIT\s+\S+\s*,": "write LIMIT n OFFSET m",
    r"==|`|::": "only one of the two takes that spelling",
}
COMPILED = [(re.compile(words, re.I), why) for words, why in WORDS.items()]
NAMED = re.compile(r"\bsoci::(?:use|into)\(\s*(?!\*?\w+(?:(?:\.|->)\w+|\[\w+\])*\s*[,)])[^\n]*")


def literals(text):
    """(line, content) of each run of adjacent string literals."""
    runs = []
    for match in LITERAL.finditer(text):
        content = match.group("raw") if match.group("raw") is not None else match.group("text")
        if content is None:
            continue
        if runs and GAP.fullmatch(text, runs[-1][1], match.start()):
            runs[-1][1:] = [match.end(), runs[-1][2] + content]
        else:
            runs.append([match.start(), match.end(), content])
    return [(text.count("\n", 0, start) + 1, content.replace("\\n", "\n")) for start, _, content in runs]


def exempt(file):
    return (file.parts[0] != "src" or file.parts[1] == "sources" or file.suffix not in (".h", ".cc") or "testing" in file.parts
            or file.stem.endswith(("_test", "_fuzz", "_bench")))


def find_offences(root):
    offences = []
    for file in tree.files(root):
        text = None if exempt(file) else tree.text(root, file)
        if text is None:
            continue
        store = file.name.endswith("_store.cc")
        if "soci/" in text and not store and file.parts[1] != "state":
            offences.append(f"{file}: includes SOCI; SQL stands in *_store.cc")
        for line, content in literals(text):
            if not STATEMENT.search(content):
                continue
            if not store:
                offences.append(f"{file}:{line}: an SQL statement; SQL stands in *_store.cc")
                continue
            for words, why in COMPILED:
                found = words.search(re.sub(r"'[^']*'", "''", content))
                if found:
                    offences.append(f"{file}:{line}: \"{found.group(0)}\" in a statement: {why}")
        if store:
            for match in NAMED.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                offences.append(f"{file}:{line}: {match.group(0).strip()}: a temporary is gone before the statement runs; "
                                "give it a name")
    return offences


def store(code):
    return {"src/a/b_store.cc": code}


GOOD = {
    "src/a/b_store.cc": 'sql << "SELECT a FROM b WHERE c = :c AND d <> \'real\' "\n   // why\n  "LIMIT :n", soci::use(c), '
                        "soci::use(event.id), soci::into(text, found);\n"
                        'x = "CREATE TABLE t (id BIGINT PRIMARY KEY, uuid_of TEXT);\\n"; log("a real problem, now");\n',
    "src/a/c.cc": 'log("Select an item from the list; update it and set a colour.");\n',
    "src/sources/a/b.cc": 'query("SELECT slot_name FROM pg_replication_slots");\n',
    "src/a/c_test.cc": 'sql << "DELETE FROM t", soci::use(std::to_string(1));\n',
    "src/state/d.cc": '#include <soci/soci.h>\nsettings("PRAGMA synchronous = FULL");\n',
}
PLANTED = [
    ({"src/a/b.cc": 'sql << "DELETE "\n  "FROM t WHERE a = 1";\n'}, "SQL stands in"),
    ({"src/a/b.cc": "#include <soci/soci.h>\n"}, "SQL stands in"),
    (store('"CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT);\\n"'), "sequence.h"),
    (store('"CREATE TABLE t (a BLOB);\\n"'), "BIGINT, INTEGER or TEXT"),
    (store('"INSERT OR " "REPLACE INTO t (a) VALUES (1) " "UPDATE t SET a"'), "ON CONFLICT"),
    (store('"SELECT a FROM t WHERE b LIKE :c"'), "case"),
    (store('"SELECT a FROM t ORDER BY rowid"'), "order by"),
    (store('"SELECT IFNULL(a, 1) FROM t"'), "that function"),
    (store('"UPDATE t SET a = datetime(\'now\')"'), "Clock"),
    (store('"SELECT a FROM t LIMIT 1, 2"'), "OFFSET"),
    (store('"SELECT a::bigint FROM t"'), "spelling"),
    (store('sql << "x", soci::use(std::to_string(id));'), "give it a name"),
    (store('sql << "x", soci::use(format(a, b));'), "give it a name"),
]

if __name__ == "__main__":
    sys.exit(tree.main(find_offences, PLANTED, GOOD))
