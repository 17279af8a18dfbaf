"""Outcomes that came of how we asked: of which option, and whether it is another now."""

from __future__ import annotations

from collections.abc import Mapping

from components.download.parameters import Parameters
from fec.outcomes import IMAGE_OUTCOMES, ImageOutcome, Kind


def cause(outcome: ImageOutcome, parameters: Parameters) -> str | None:
    """The option an outcome of ours came of, as ``name=value``; None for outcomes of other classes."""
    meaning = IMAGE_OUTCOMES[outcome]
    return f"{meaning.depends_on}={_value(meaning.depends_on, parameters)}" if meaning.kind is Kind.OURS else None


def to_be_asked(outcome: ImageOutcome, came_of: str | None, parameters: Parameters) -> bool:
    """Whether a run with these parameters asks for an image again that ended so."""
    return outcome.transient or worth_asking(outcome, came_of, parameters)


def worth_asking(outcome: ImageOutcome, came_of: str | None, parameters: Parameters) -> bool:
    """Whether the user asks for such images again, or has changed what they came of."""
    if outcome in parameters.retry:
        return True
    if outcome.kind is not Kind.OURS:
        return False
    before, now = came_of or cause(outcome, _defaults(parameters)), cause(outcome, parameters)
    if IMAGE_OUTCOMES[outcome].limit:
        return _number(now) > _number(before)
    return before != now


def helps(outcome: ImageOutcome, parameters: Parameters) -> str:
    """What would bring an image of this outcome back, for a message."""
    option = IMAGE_OUTCOMES[outcome].depends_on
    named: Mapping[str, str] = {
        "user_agent": f"--retry {outcome}, or another --user-agent or --contact",
        "max_bytes": f"--max-bytes above {parameters.max_bytes}",
        "max_redirects": f"--max-redirects above {parameters.max_redirects}",
        "allow_network": "--allow-network for their addresses",
        "robots": "--robots ignore, if you may",
    }
    return named[option]


def _value(option: str, parameters: Parameters) -> str:
    match option:
        case "user_agent":
            return parameters.introduction
        case "allow_network":
            return ",".join(sorted(parameters.allow_network))
        case _:
            return str(getattr(parameters, option))


def _defaults(parameters: Parameters) -> Parameters:
    """What manifests that name no cause came of."""
    return Parameters(parameters.root, parameters.split, parameters.group)


def _number(came_of: str | None) -> int:
    digits = (came_of or "").rpartition("=")[2]
    return int(digits) if digits.isdecimal() else 0
