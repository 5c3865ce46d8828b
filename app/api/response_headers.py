"""Names of the response headers of the API. Pages of another origin may read all of them."""

from data.audio import SYNTHETIC_HEADERS

DISPOSITION = "Content-Disposition"
LOCATION = "Location"
RETRY_AFTER = "Retry-After"
UNDERSTOOD = "X-Instructions-Understood"

EXPOSED = (DISPOSITION, LOCATION, RETRY_AFTER, UNDERSTOOD, *SYNTHETIC_HEADERS)
