"""What became of an image and of a face: the codes every manifest uses.

Permanent outcomes are final. Transient ones are tried again by a later run (``TRANSIENT``).
"""

from __future__ import annotations

from enum import StrEnum


class ImageOutcome(StrEnum):
    """What became of one unique URL."""

    FETCHED = "fetched"
    """The original is stored."""
    GONE = "gone"
    """404, 410 or 451: the host says it is not there."""
    REFUSED = "refused"
    """Another 4xx that will not change by asking again (401, 403, 400 ...)."""
    NOT_AN_IMAGE = "not_an_image"
    """The body does not start like any image format we read (an HTML page, a text)."""
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
    DNS_FAILED = "dns_failed"
    """The host name could not be resolved."""
    CONNECTION_FAILED = "connection_failed"
    """Refused, reset or broken off; TLS failures included."""
    TIMED_OUT = "timed_out"
    """No whole answer within the time limit."""
    RATE_LIMITED = "rate_limited"
    """429: the host asks for fewer requests."""
    SERVER_ERROR = "server_error"
    """A 5xx answer."""

    @property
    def transient(self) -> bool:
        """Whether a later run should try again."""
        return self in _TRANSIENT


_TRANSIENT = frozenset(
    {
        ImageOutcome.DNS_FAILED,
        ImageOutcome.CONNECTION_FAILED,
        ImageOutcome.TIMED_OUT,
        ImageOutcome.RATE_LIMITED,
        ImageOutcome.SERVER_ERROR,
    }
)


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
