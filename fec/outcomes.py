"""What became of an image and of a face: the codes every manifest uses.

An image's outcome is of one of four classes (``Kind``), which say whether asking again could change it.
``IMAGE_OUTCOMES`` is the one table of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Kind(StrEnum):
    """The class of an image's outcome."""

    FINAL = "final"
    """This server said so of this picture."""
    TRANSIENT = "transient"
    """It passes; a later run tries again."""
    OURS = "ours"
    """An option, the network we are in or how we present ourselves; tried again when that changes, or when told to."""
    NOT_ASKED = "not asked"
    """Nothing was asked of the picture itself; the next run begins with these."""


class ImageOutcome(StrEnum):
    """What became of one unique URL."""

    FETCHED = "fetched"
    """The original is stored."""
    GONE = "gone"
    """404, 410 or 451: the host says it is not there."""
    REFUSED = "refused"
    """Another answer that is no picture (401, 403, 400 ...): perhaps to us, perhaps to everybody."""
    BLOCKED = "blocked"
    """One of a row of refusals by a host that gave pictures before, or in whose time no host gave any."""
    NOT_AN_IMAGE = "not_an_image"
    """The body does not start like any image format (an HTML page, a text)."""
    UNDECODABLE = "undecodable"
    """The body is in a Content-Encoding that nobody can undo."""
    PLACEHOLDER = "placeholder"
    """The host answered with its stand-in for a removed photograph."""
    TOO_LARGE = "too_large"
    """The body passed the byte limit."""
    INVALID_URL = "invalid_url"
    """Not an http or https URL with a host."""
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    """The host resolves to an address outside the public internet and no --allow-network covers it."""
    TOO_MANY_REDIRECTS = "too_many_redirects"
    """More redirects than a browser would follow, or a loop."""
    ROBOTS_DISALLOWED = "robots_disallowed"
    """The host's robots.txt does not want the URL to be asked for by programs."""
    OPTED_OUT = "opted_out"
    """The picture came with X-Robots-Tag noai or noimageai."""
    NO_SUCH_HOST = "no_such_host"
    """There is no such host name, or it has no address: the name servers say so."""
    DNS_FAILED = "dns_failed"
    """The host name could not be resolved: the name servers did not answer, or had trouble."""
    CONNECTION_FAILED = "connection_failed"
    """Refused, reset or broken off; TLS failures included."""
    TIMED_OUT = "timed_out"
    """No whole answer within the time limit."""
    RATE_LIMITED = "rate_limited"
    """429: the host asks for fewer requests."""
    SERVER_ERROR = "server_error"
    """A 5xx answer."""
    NOT_ASKED = "not_asked"
    """The host was left alone before this picture's turn came."""

    @property
    def kind(self) -> Kind:
        """The class it is of."""
        return IMAGE_OUTCOMES[self].kind

    @property
    def transient(self) -> bool:
        """Whether a later run should try again by itself."""
        return self.kind in (Kind.TRANSIENT, Kind.NOT_ASKED)


@dataclass(frozen=True)
class Meaning:
    """An outcome's class; for one of ours the option it depends on; of a ``limit`` only a higher one helps."""

    kind: Kind
    depends_on: str = ""
    limit: bool = False


IMAGE_OUTCOMES: Final[Mapping[ImageOutcome, Meaning]] = MappingProxyType(
    {
        ImageOutcome.FETCHED: Meaning(Kind.FINAL),
        ImageOutcome.GONE: Meaning(Kind.FINAL),
        ImageOutcome.NOT_AN_IMAGE: Meaning(Kind.FINAL),
        ImageOutcome.UNDECODABLE: Meaning(Kind.FINAL),
        ImageOutcome.PLACEHOLDER: Meaning(Kind.FINAL),
        ImageOutcome.INVALID_URL: Meaning(Kind.FINAL),
        ImageOutcome.REFUSED: Meaning(Kind.OURS, "user_agent"),
        ImageOutcome.BLOCKED: Meaning(Kind.OURS, "user_agent"),
        ImageOutcome.TOO_LARGE: Meaning(Kind.OURS, "max_bytes", limit=True),
        ImageOutcome.TOO_MANY_REDIRECTS: Meaning(Kind.OURS, "max_redirects", limit=True),
        ImageOutcome.ADDRESS_NOT_ALLOWED: Meaning(Kind.OURS, "allow_network"),
        ImageOutcome.ROBOTS_DISALLOWED: Meaning(Kind.OURS, "robots"),
        ImageOutcome.OPTED_OUT: Meaning(Kind.OURS, "robots"),
        ImageOutcome.NO_SUCH_HOST: Meaning(Kind.TRANSIENT),
        ImageOutcome.DNS_FAILED: Meaning(Kind.TRANSIENT),
        ImageOutcome.CONNECTION_FAILED: Meaning(Kind.TRANSIENT),
        ImageOutcome.TIMED_OUT: Meaning(Kind.TRANSIENT),
        ImageOutcome.RATE_LIMITED: Meaning(Kind.TRANSIENT),
        ImageOutcome.SERVER_ERROR: Meaning(Kind.TRANSIENT),
        ImageOutcome.NOT_ASKED: Meaning(Kind.NOT_ASKED),
    }
)


# What a web archive may still have: final outcomes that are no picture, and what was on a host whose name is gone,
# though that is looked up again. What is no web address is in no archive.
IN_ARCHIVES: Final = frozenset(
    {
        ImageOutcome.GONE,
        ImageOutcome.NOT_AN_IMAGE,
        ImageOutcome.UNDECODABLE,
        ImageOutcome.PLACEHOLDER,
        ImageOutcome.NO_SUCH_HOST,
    }
)
# What a download's marker calls the number of images that came from an archive; they are ``fetched`` as well.
ARCHIVED: Final = "archived"


class FaceOutcome(StrEnum):
    """What became of one unique (image, box)."""

    OK = "ok"
    """Cropped, and the detector found a face in the crop at the wanted confidence."""
    NO_IMAGE = "no_image"
    """The image was not fetched; the detail carries the image's outcome."""
    UNREADABLE = "unreadable"
    """The bytes could not be decoded (broken or truncated)."""
    TOO_MANY_PIXELS = "too_many_pixels"
    """Larger than the pixel limit: a decompression bomb or a scan nobody needs."""
    BOX_TOO_SMALL = "box_too_small"
    """The crop has fewer pixels a side than a face can be told from."""
    NO_FACE = "no_face"
    """The detector found nothing in the crop."""
    LOW_CONFIDENCE = "low_confidence"
    """The best face in the crop is below the wanted confidence."""
    FACE_ELSEWHERE = "face_elsewhere"
    """There is a face in the crop, but not where the box is: somebody else's."""
    SEVERAL_FACES = "several_faces"
    """More than one face of about the same size in the box: whose expression was judged cannot be told."""
    UPSIDE_DOWN = "upside_down"
    """The face stands on its head."""
