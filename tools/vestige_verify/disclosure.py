"""Disclosed values of one entry (docs/formats/disclosure.md)."""
from .canonical import NotJson, canonical, parse
from .export import is_number, is_object, pair_leaf, references, whole
from .merkle import root_from_path
from .note import from_base64, verify_proof
from .reader import Damage

FORMAT = "vestige disclosure v1"
VALUE = ("index", "path", "proof", "salt", "section", "size", "value")


def check_disclosure(data, keys):
    """(index, Checkpoint, entry, values) of a disclosure that holds; raises Damage."""
    try:
        content = parse(data)
        whole(is_object(content, ("disclosed", "entry", "format", "proof")) and content["format"] == FORMAT,
              f'it is no disclosure of the format "{FORMAT}"')
        entry, values = content["entry"], content["disclosed"]
        whole(isinstance(entry, dict) and isinstance(values, list) and isinstance(content["proof"], str),
              "its members are not what the format says")
        index, checkpoint = verify_proof(content["proof"].encode(), canonical(entry), keys)
        roots = [root for _, root in references(entry)] if "sealed" in entry else []
        last = None
        for value in values:
            place = check_value(value, roots)
            whole(last is None or last < place, "its values are not in order, or one is there twice")
            last = place
    except NotJson as error:
        raise Damage(f"it is no JSON: {error}") from error
    return index, checkpoint, entry, values


def check_value(value, roots):
    whole(is_object(value, VALUE) and all(is_number(value[name]) for name in ("index", "section", "size"))
          and isinstance(value["path"], str) and isinstance(value["salt"], str) and isinstance(value["proof"], list)
          and all(isinstance(step, str) for step in value["proof"]), "a value is not what the format says")
    whole(value["section"] < len(roots), "a value is of a section that the entry does not name")
    leaf = pair_leaf(from_base64(value["salt"], "a salt", 16), value["path"], value["value"])
    steps = [from_base64(step, "a step of a path", 32) for step in value["proof"]]
    whole(root_from_path(leaf, value["index"], value["size"], steps) == roots[value["section"]],
          f"the value at {value['path']} is not what was sealed: value, path, salt or proof was altered")
    return value["section"], value["index"]
