from datetime import date

import pytest

from lt4rec_assets.settings import webhook_url
from lt4rec_assets.webhook import WebhookError, post
from lt4rec_core.errors import ConfigError
from tests.assets.receiver import receiver


def test_a_message_arrives_as_json():
    with receiver() as (url, posted):
        post(url, {"text": "samples/impressions failed", "day": date(2026, 1, 6)})

    assert posted == [("application/json", {"text": "samples/impressions failed", "day": "2026-01-06"})]


def test_a_refusal_is_named_without_the_address():
    with receiver(status=403) as (url, _), pytest.raises(WebhookError, match="status 403") as error:
        post(url, {})

    assert "s3cret" not in str(error.value)


def test_nobody_there_is_named_without_the_address():
    with receiver() as (url, _):
        pass

    with pytest.raises(WebhookError, match="cannot be reached") as error:
        post(url, {})
    assert "s3cret" not in str(error.value)


def test_the_address_comes_from_the_environment_alone():
    assert webhook_url({"LT4REC_WEBHOOK_URL": " https://chat.example/x "}) == "https://chat.example/x"
    assert webhook_url({}) is None
    for wrong in ("file:///etc/passwd", "chat.example", "https://"):
        with pytest.raises(ConfigError, match="LT4REC_WEBHOOK_URL is no http") as error:
            webhook_url({"LT4REC_WEBHOOK_URL": wrong})
        assert wrong not in str(error.value).replace("http:// or https://", "")
