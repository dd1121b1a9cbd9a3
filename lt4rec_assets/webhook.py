"""Posts a failure to a webhook, so that somebody hears of it who does not look at the UI."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from lt4rec_core.errors import Lt4recError

TIMEOUT_S = 10


class WebhookError(Lt4recError):
    """A webhook could not be reached, or did not accept what it was told."""


def post(url: str, message: Mapping[str, Any]) -> None:
    """Post a message as JSON; ``text`` is what chat services show.

    Raises:
        WebhookError: no answer, or one that is no success. It does not repeat the address, which may hold
            a secret.
    """
    request = urllib.request.Request(
        url,
        data=json.dumps(message, default=str).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise WebhookError(
            f"the webhook answered with status {error.code}. Does LT4REC_WEBHOOK_URL still hold?"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise WebhookError(f"the webhook cannot be reached: {reason}. Look at LT4REC_WEBHOOK_URL.") from None
