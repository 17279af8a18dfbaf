"""What can be asked of the download step."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from components.download.template import refuse_template
from fec.outcomes import ImageOutcome
from fec.parameters import StepParameters, group, parameter, root, split

# Raise when a stored original would be another: what is stored is then fetched again, from hosts we do not own.
VERSION: Final = 1

USER_AGENT: Final = "fec-pipeline/1.0 (research dataset of public image URLs; one polite fetch per image)"


RETRYABLE: Final = tuple(str(outcome) for outcome in ImageOutcome if outcome is not ImageOutcome.FETCHED)


def _outcomes(names: Iterable[str]) -> str:
    wrong = [name for name in names if name not in RETRYABLE]
    return f"{wrong[0]!r} is none of {', '.join(RETRYABLE)}" if wrong else ""


def _networks(texts: Iterable[str]) -> str:
    for text in texts:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            return f"{error}; expected a CIDR such as 10.0.0.0/8 or 127.0.0.1/32"
    return ""


def _header(text: str) -> str:
    good = text.isascii() and text.isprintable() and text.strip()
    return "" if good else "expected printable ASCII, it goes in a header"


@dataclass(frozen=True)
class Parameters(StepParameters, step="download", version=VERSION):
    """How images are fetched. An original is what its host gave, whatever was asked for: nothing here shapes it."""

    root: str = root()
    split: str = split()
    group: str = group("the shards to fetch")
    allow_network: tuple[str, ...] = parameter(
        "CIDR that may be fetched from although it is not on the public internet, such as 127.0.0.0/8",
        default=(),
        refuse=_networks,
        shapes_result=False,
        promoted=True,
    )
    requests_per_second: float = parameter(
        "to one host key over the whole run", default=20.0, more_than=0, shapes_result=False, promoted=True
    )
    connections_per_host: int = parameter(
        "requests under way to one host key", default=4, at_least=1, shapes_result=False
    )
    connections: int = parameter("requests under way in all", default=64, at_least=1, shapes_result=False)
    attempts: int = parameter(
        "tries of an image in one run, if it fails for a transient cause", default=3, at_least=1, shapes_result=False
    )
    timeout: float = parameter(
        "seconds for one whole answer, redirects included", default=30.0, more_than=0, shapes_result=False
    )
    connect_timeout: float = parameter("seconds to be connected", default=10.0, more_than=0, shapes_result=False)
    max_bytes: int = parameter("largest image accepted, bytes", default=32 << 20, at_least=1, shapes_result=False)
    max_redirects: int = parameter("redirects followed", default=5, at_least=0, shapes_result=False)
    retry_transient_after: float = parameter(
        "seconds after which a finished shard's transient failures are tried again",
        default=3600.0,
        at_least=0,
        shapes_result=False,
        promoted=True,
    )
    max_transient: float = parameter(
        "share of images that may fail for transient causes before it counts as an outage",
        default=0.5,
        at_least=0,
        at_most=1,
        shapes_result=False,
    )
    outage_patience: float = parameter(
        "seconds to wait for nearly everything to stop failing at once, before the step fails",
        default=600.0,
        at_least=0,
        shapes_result=False,
    )
    retry: tuple[str, ...] = parameter(
        f"outcome whose images are asked for again ({', '.join(RETRYABLE)})",
        default=(),
        refuse=_outcomes,
        shapes_result=False,
    )
    robots: str = parameter(
        "whether robots.txt and X-Robots-Tag noai, noimageai are obeyed",
        default="obey",
        choices=("obey", "ignore"),
        shapes_result=False,
    )
    user_agent: str = parameter(
        "how we introduce ourselves to the hosts", default=USER_AGENT, refuse=_header, shapes_result=False
    )
    contact: str = parameter(
        "address for those who run the hosts, mail or web, added to the user agent",
        default="",
        refuse=lambda text: _header(text) if text else "",
        shapes_result=False,
    )

    archive: str = parameter(
        "address of a web archive, with {url} in it, where pictures that their hosts have no more are looked for",
        default="",
        refuse=refuse_template,
        shapes_result=False,
    )
    archive_rate: float = parameter(
        "requests a second to that archive over the whole run", default=1.0, more_than=0, shapes_result=False
    )

    @property
    def introduction(self) -> str:
        """The User-Agent header."""
        if not self.contact:
            return self.user_agent
        name, bracket, rest = self.user_agent.partition("(")
        return f"{name}({self.contact}; {rest}" if bracket else f"{name} ({self.contact})"
