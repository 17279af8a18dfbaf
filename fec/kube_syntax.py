"""What Kubernetes lets a name, a label, a quantity and a toleration look like, said before anything is sent.

Rules: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and labels/, and
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from fec.errors import ConfigurationError

MAX_LABEL: Final = 63
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(m|[kMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,2})?", re.ASCII)
_UNITS: Final = {"": Decimal(1), "m": Decimal("0.001")} | {
    unit + suffix: Decimal(base) ** power
    for suffix, base in (("", 1000), ("i", 1024))
    for power, unit in enumerate("kMGTPE" if not suffix else "KMGTPE", start=1)
}
_TOLERATION: Final = ("key", "operator", "value", "effect", "tolerationSeconds")
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def job_name(name: str, completions: int) -> str:
    """``name`` if a Job of so many indexes can have it: each index is the end of a host name, NAME-INDEX."""
    longest = MAX_LABEL - len(f"-{completions - 1}")
    if not _DNS_LABEL.fullmatch(name) or len(name) > longest:
        raise ConfigurationError(
            f"name {name!r}: expected at most {longest} of a-z, 0-9 and -, with a letter or digit at both ends"
        )
    return name


def dns_name(what: str, name: str, longest: int = 253) -> str:
    """``name`` if it can name a service account, a secret or (63 at most) a namespace."""
    if not _DNS_NAME.fullmatch(name) or len(name) > longest:
        raise ConfigurationError(f"{what} {name!r}: expected at most {longest} of a-z, 0-9, - and .")
    return name


def labels(pairs: Iterable[str]) -> dict[str, str]:
    """Labels from ``KEY=VALUE`` words, as a node selector has them."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigurationError(f"node selector {pair!r}: expected KEY=VALUE, such as disktype=ssd")
        prefix, slash, name = key.rpartition("/")
        if slash and not (_DNS_NAME.fullmatch(prefix) and len(prefix) <= 253):
            raise ConfigurationError(f"node selector {pair!r}: {prefix!r} is no domain")
        if not _LABEL_NAME.fullmatch(name) or len(name) > MAX_LABEL:
            raise ConfigurationError(f"node selector {pair!r}: {name!r} is no name of a label")
        if value and (not _LABEL_NAME.fullmatch(value) or len(value) > MAX_LABEL):
            raise ConfigurationError(f"node selector {pair!r}: {value!r} is no value of a label")
        if found.setdefault(key, value) != value:
            raise ConfigurationError(f"node selector {key!r} is given twice, as {found[key]!r} and {value!r}")
    return found


def quantity(what: str, text: str) -> str:
    """``text`` if it is an amount above 0, such as 500m, 2, 1.5 or 4Gi."""
    match = _QUANTITY.fullmatch(text)
    if not match or Decimal(match[1]) == 0:
        raise ConfigurationError(f"{what} {text!r}: expected an amount such as 500m, 2 or 4Gi")
    return text


def amount(text: str) -> Decimal:
    """What a quantity is worth: cores, or bytes."""
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ConfigurationError(f"{text!r}: expected an amount such as 500m, 2 or 4Gi")
    number, unit = Decimal(match[1]), match[2] or ""
    if unit[:1] in ("e", "E") and unit[1:]:
        return number * Decimal(10) ** int(unit[1:])
    return number * _UNITS[unit]


def toleration(text: str) -> dict[str, object]:
    """A toleration from JSON in Kubernetes' own words."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"toleration {text!r} is not JSON: {error}") from None
    expected = 'expected JSON such as {"key": "dedicated", "operator": "Equal", "value": "fec", "effect": "NoSchedule"}'
    if not isinstance(value, dict) or not set(value) <= set(_TOLERATION):
        raise ConfigurationError(f"toleration {text!r}: {expected}")
    operator = value.get("operator", "Equal")
    wrong = (
        operator not in ("Equal", "Exists")
        or value.get("effect", "NoSchedule") not in _EFFECTS
        or (operator == "Exists" and value.get("value"))
        or (operator == "Equal" and not value.get("key"))
        or any(not isinstance(value.get(key, ""), str) for key in _TOLERATION[:4])
        or ("tolerationSeconds" in value and type(value["tolerationSeconds"]) is not int)
        or ("tolerationSeconds" in value and value.get("effect") != "NoExecute")
    )
    if wrong:
        raise ConfigurationError(f"toleration {text!r}: {expected}")
    return value
