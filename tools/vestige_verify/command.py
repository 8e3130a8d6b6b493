"""The command line."""
import argparse
import json
import os
import sys

from . import coverage, disclosure, erasure, export
from .directory import Witness, check_directory
from .entry import read_canonical
from .note import from_base64, parse_vkey, to_base64, verify_proof
from .reader import Damage

OK, WRONG, USAGE = 0, 1, 2
SHOWN_MAX = 20


class Usage(Exception):
    pass


def parse(arguments, description):
    parser = argparse.ArgumentParser(prog="vestige_verify.py", description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", metavar="DATA")
    parser.add_argument("--vault", "--vault-dir", metavar="DIR", help="default: DATA/vault")
    parser.add_argument("--signer", "--signer-dir", metavar="DIR", help="default: DATA/signer")
    keys = parser.add_mutually_exclusive_group()
    keys.add_argument("--root-key", metavar="FILE", help="default: root.key in the vault, if it is there")
    keys.add_argument("--root-key-env", "--root-key-environment", metavar="NAME", help="an environment variable that holds the root key")
    keys.add_argument("--no-keys", action="store_true", help="check what can be checked without any key")
    parser.add_argument("--vkey", metavar="KEY", action="append", default=[],
                        help="the log's verifier key as you know it from elsewhere; may be repeated")
    parser.add_argument("--stream", metavar="NAME", default="audit", help="whose size and root stand at the top of the result")
    parser.add_argument("--certificate", metavar="FILE", help="check a certificate of erasure instead; needs --vkey")
    parser.add_argument("--disclosure", metavar="FILE", help="check disclosed values of an entry instead; needs --vkey")
    parser.add_argument("--export", metavar="FILE", help="check an export instead; without --vkey nothing says who made it")
    parser.add_argument("--coverage", metavar="FILE", help="check a report on captures instead, or with DATA, whose entries then have "
                        "to give the same report; needs --vkey")
    parser.add_argument("--proof", metavar="FILE")
    parser.add_argument("--entry", metavar="FILE")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    subjects = [chosen.proof, chosen.certificate, chosen.disclosure, chosen.export, chosen.data or chosen.coverage]
    if bool(chosen.proof) != bool(chosen.entry) or subjects.count(None) != len(subjects) - 1:
        parser.error("give a data directory, or --proof and --entry, or --certificate, or --disclosure, or --export, or --coverage")
    if (not chosen.data or chosen.coverage) and not chosen.export and not chosen.vkey:
        parser.error("--proof, --certificate, --disclosure and --coverage need --vkey: they are as good as the key that they are "
                     "held against")
    return chosen


def read_file(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Usage(f"{path} cannot be read: {error.strerror}.") from error


def root_key(chosen, vault):
    if chosen.no_keys:
        return None
    file = chosen.root_key or os.path.join(vault, "root.key")
    if chosen.root_key_env:
        where, text = f"${chosen.root_key_env}", os.environ.get(chosen.root_key_env)
        if text is None:
            raise Usage(f"The environment has no variable {chosen.root_key_env}.")
    elif chosen.root_key or os.path.exists(file):
        where, text = file, read_file(file).decode("utf-8", "replace")
    else:
        return None
    try:
        return from_base64(text.removesuffix("\n"), "root key", 32)
    except Damage as damage:
        raise Usage(f"{where} holds no root key, which is base64 of 32 bytes ({damage.reason}).") from damage


def verifier_keys(chosen):
    try:
        return [parse_vkey(text.strip()) for text in chosen.vkey]
    except Damage as damage:
        raise Usage(f"--vkey: {damage.reason}.") from damage


def check_proof(chosen):
    proof, entry, keys = read_file(chosen.proof), read_file(chosen.entry), verifier_keys(chosen)
    bad, index, checkpoint, file = None, None, None, chosen.proof
    try:
        index, checkpoint = verify_proof(proof, entry, keys)
        file = chosen.entry
        read_canonical(entry, "the entry")
    except Damage as damage:
        bad = {"index": damage.index, "file": file, "offset": damage.offset, "reason": damage.reason}
    result = {"ok": bad is None, "size": checkpoint.size if checkpoint else None,
              "root": to_base64(checkpoint.root) if checkpoint else None, "index": index,
              "origin": checkpoint.origin if checkpoint else None, "firstBad": bad}
    if chosen.json:
        print(json.dumps(result))
    elif bad:
        print(f"wrong: {bad['reason']}\n  in {bad['file']}" + (f", byte {bad['offset']}" if bad["offset"] is not None else ""))
    else:
        print(f"ok: the entry is number {index} of the {checkpoint.size} that {checkpoint.origin} has signed\n"
              f"  root {result['root']}")
    return OK if result["ok"] else WRONG


def check_certificate_file(chosen):
    data, keys = read_file(chosen.certificate), verifier_keys(chosen)
    try:
        content, reason = erasure.check_certificate(data, keys), None
    except Damage as damage:
        content, reason = {}, damage.reason
    named = ("destroyed", "erasedAt", "backupsExpireAt", "concerned", "pending")
    if chosen.json:
        print(json.dumps({"ok": reason is None, **{name: content[name] for name in named if content}, "reason": reason}))
    elif reason:
        print(f"wrong: {reason}\n  in {chosen.certificate}")
    else:
        refs = ", ".join(each["ref"] for each in content["destroyed"])
        print(f"ok: the key of {refs} was destroyed on {content['erasedAt']}, by order of entry {content['intent']['index']}; entry "
              f"{content['outcome']['index']} says so\n  {content['concerned']['entries']} of the first "
              f"{content['concerned']['of']} entries have sections under it\n  copies of the vault may hold it until "
              f"{content['backupsExpireAt']}")
    return WRONG if reason else OK


def check_disclosure_file(chosen):
    data, keys = read_file(chosen.disclosure), verifier_keys(chosen)
    try:
        index, checkpoint, entry, values = disclosure.check_disclosure(data, keys)
        reason = None
    except Damage as damage:
        reason = damage.reason
    if reason:
        print(json.dumps({"ok": False, "reason": reason}) if chosen.json else f"wrong: {reason}\n  in {chosen.disclosure}")
        return WRONG
    if chosen.json:
        shown = [{"path": value["path"], "value": value["value"]} for value in values]
        print(json.dumps({"ok": True, "index": index, "origin": checkpoint.origin, "size": checkpoint.size,
                          "disclosed": shown, "entry": entry}))
        return OK
    print(f"ok: of entry {index} of the {checkpoint.size} that {checkpoint.origin} has signed")
    for value in values:
        print(f"  {value['path']}  {json.dumps(value['value'], ensure_ascii=False)}")
    print(f"  and in the clear: {json.dumps(entry, ensure_ascii=False)}")
    return OK


def check_export_file(chosen):
    keys = verifier_keys(chosen)
    try:
        with open(chosen.export, "rb") as file:
            found, bad = export.check_export(file, keys)
    except OSError as error:
        raise Usage(f"{chosen.export} cannot be read: {error.strerror}.") from error
    size = found.checkpoint.size if found.checkpoint else None
    all_there = bad is None and found.events == size
    if chosen.json:
        print(json.dumps({"ok": bad is None, "firstBad": bad and {"line": bad[0], "reason": bad[1]}, "events": found.events,
                          "size": size, "wholeTree": all_there, "signatureChecked": bool(keys) and bad is None,
                          "sections": found.sections, "search": found.header.get("search")}))
    elif bad:
        print(f"WRONG, first bad: line {bad[0]}\n  {bad[1]}\n  in {chosen.export}")
    else:
        by = f"signed by {found.header['origin']}" if keys else "of one piece, but held against no key: nothing says who made it"
        print(f"ok: {found.events} of the {size} entries of {found.header['origin']}, {by}\n  search {json.dumps(found.header['search'])}")
        print("  all entries are there" if all_there else "  that the search left nothing out is the server's word")
    return WRONG if bad else OK


def check_coverage_file(chosen):
    data, keys = read_file(chosen.coverage), verifier_keys(chosen)
    recount = None
    try:
        report, checkpoint = coverage.check_coverage(data, keys)
        if chosen.data:
            recount = coverage.Recount(report, checkpoint)
            directory = directory_of(chosen, recount)
            first = directory.report.first
            if first:
                raise Damage(f"the data directory is damaged: {first.reason} ({place(first)})")
            if directory.keys is None:
                raise Damage("the entries of the data directory cannot be read without the root key")
            recount.check(next((stream for stream in directory.streams if stream.name == recount.name), None))
        reason = None
    except Damage as damage:
        reason = damage.reason
    if chosen.json:
        print(json.dumps({"ok": False, "reason": reason} if reason else {
            "ok": True, "origin": checkpoint.origin, "size": checkpoint.size, "root": to_base64(checkpoint.root),
            "gaps": report["gaps"], "madeAnew": recount is not None, "report": report}))
    elif reason:
        print(f"wrong: {reason}\n  in {chosen.coverage}")
    else:
        print(f"ok: {len(report['sources'])} sources with {report['gaps']} gaps, as {checkpoint.origin} signed it of its first "
              f"{checkpoint.size} entries" + (", which give the same" if recount else ""))
    return WRONG if reason else OK


def place(finding):
    where = finding.file
    if finding.offset is not None:
        where += f", byte {finding.offset}"
    if finding.index is not None:
        where = f"entry {finding.index}" + (f" of {finding.stream}" if finding.stream else "") + f", {where}"
    return where


def show(directory, result):
    for name, stream in result["streams"].items():
        signed = f"signed up to {stream['signedSize']}" if stream["signedSize"] is not None else "not signed"
        print(f"{name}: {stream['size']} entries ({stream['sealedSize']} in segments), {signed}\n  root {stream['root']}")
        if stream["vkey"]:
            print(f"  vkey {stream['vkey']}")
    sections = result["sections"]
    if result["keys"]:
        for erased in result["erasedBy"]:
            print(f"{erased['sections']} sections erased by entry {erased['entry']}")
        print(f"{result['entries']} entries recomputed; sealed sections: {sections['matches']} match, "
              f"{sections['erased']} erased, {sections['present']} present but unchecked, {sections['missing']} missing")
    for note in result["notes"]:
        print(f"note: {note}")
    if result["ok"]:
        print("ok")
        return
    first = directory.report.first
    print(f"WRONG, first bad: {place(first)}\n  {first.reason}")
    others = [finding for finding in directory.report.kept if finding is not first]
    for finding in others[:SHOWN_MAX]:
        print(f"also: {place(finding)}\n  {finding.reason}")
    if result["findings"] - 1 > len(others[:SHOWN_MAX]):
        print(f"and {result['findings'] - 1 - len(others[:SHOWN_MAX])} more")


def directory_of(chosen, witness=Witness()):
    if not os.path.isdir(chosen.data):
        raise Usage(f"{chosen.data} is no directory.")
    vault = chosen.vault or os.path.join(chosen.data, "vault")
    signer = chosen.signer or os.path.join(chosen.data, "signer")
    for folder, given in ((vault, chosen.vault), (signer, chosen.signer)):
        if given and not os.path.isdir(folder):
            raise Usage(f"{folder} is no directory.")
    return check_directory(chosen.data, vault, signer, root_key(chosen, vault), verifier_keys(chosen), witness)


def check_data(chosen):
    directory = directory_of(chosen)
    result = directory.result(chosen.stream)
    if chosen.json:
        print(json.dumps(result))
    else:
        show(directory, result)
    return OK if result["ok"] else WRONG


def main(arguments, description):
    chosen = parse(arguments, description)
    try:
        if chosen.certificate:
            return check_certificate_file(chosen)
        if chosen.disclosure:
            return check_disclosure_file(chosen)
        if chosen.export:
            return check_export_file(chosen)
        if chosen.coverage:
            return check_coverage_file(chosen)
        return check_proof(chosen) if chosen.proof else check_data(chosen)
    except Usage as error:
        print(error, file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"{error.filename} cannot be read: {error.strerror}.", file=sys.stderr)
        return WRONG
