"""RFC 8785 (JSON canonicalisation): the one spelling of a JSON value, by which its bytes can be hashed."""
import json
import re

INTEGER_EXACT_MAX = 2 ** 53
TO_ESCAPE = re.compile(r'["\\\x00-\x1f]')
ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class NotJson(ValueError):
    """The text is no JSON value, or none that RFC 8785 can spell (it asks for I-JSON: no duplicate names, no lone
    surrogates, numbers within a double)."""


def unique_members(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotJson("an object has two members of one name")
    return members


def refuse_constant(name):
    raise NotJson(f"{name} is no JSON number")


DECODER = json.JSONDecoder(object_pairs_hook=unique_members, parse_constant=refuse_constant)


def parse(data):
    """The value of JSON bytes."""
    try:
        return DECODER.decode(data.decode("utf-8"))
    except RecursionError as error:
        raise NotJson("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise NotJson(f"byte {error.start} is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at character {error.pos}") from error


def string(text):
    if TO_ESCAPE.search(text):
        text = TO_ESCAPE.sub(lambda match: ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04x}", text)
    return f'"{text}"'


def number(value):
    """As ECMAScript's Number::toString spells a double."""
    if isinstance(value, int):
        if -INTEGER_EXACT_MAX <= value <= INTEGER_EXACT_MAX:
            return str(value)
        try:
            value = float(value)
        except OverflowError as error:
            raise NotJson("a number is outside the range of a double") from error
    if value != value or value in (float("inf"), float("-inf")):
        raise NotJson("a number is outside the range of a double")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")  # Python's repr gives the shortest digits as well
    whole, _, fraction = mantissa.partition(".")
    if fraction == "0":
        fraction = ""
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    return sign + place_point(digits, point)


def place_point(digits, point):
    """`point`: how many digits stand before the decimal point (ECMAScript's n)."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return (f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits) + exponent


def member_order(names):
    """Sorted by UTF-16 code units, which differs from code points only where some lie above the surrogates."""
    ordered = sorted(names)
    if any(name and max(name) > "\ud7ff" for name in ordered):
        ordered.sort(key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return ordered


def spell(value):
    if isinstance(value, str):
        return string(value)
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{" + ",".join([f"{string(name)}:{spell(value[name])}" for name in member_order(value)]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([spell(element) for element in value]) + "]"
    return number(value)


def canonical(value):
    """The canonical bytes of a value as parse() gives it."""
    try:
        return spell(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotJson("a string holds half of a surrogate pair") from error
    except RecursionError as error:
        raise NotJson("it is nested too deeply") from error
