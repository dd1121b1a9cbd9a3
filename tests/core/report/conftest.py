"""A lake that answers as it is told, and a page looked at as a browser would."""

from dataclasses import replace
from datetime import date, datetime
from html.parser import HTMLParser

import pytest

from lt4rec_core.report.ask import missing
from lt4rec_core.report.page import Given

DAY = date(2026, 1, 5)


class Answers:
    """Stands in for a lake: rows by question; what it does not know is missing."""

    def __init__(self, **rows):
        self.rows = rows

    def ask(self, name):
        return self.rows.get(name) or replace(
            missing(f"somewhere.{name}", "it has no row yet"), is_empty=True
        )


@pytest.fixture
def answers():
    return Answers


@pytest.fixture
def given():
    return Given(source="simulator", first=DAY, last=date(2026, 1, 7), made_at=datetime(2026, 1, 8, 9, 30))


class Seen(HTMLParser):
    """The elements of a page with their attributes, the text one reads, and what its scripts hold."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.read, self._inside = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._inside.pop()

    def handle_data(self, data):
        if not self._inside:
            self.read.append(data)
        elif self._inside[-1][0] == "script":
            self.scripts.append((self._inside[-1][1].get("type"), data))

    @property
    def text(self):
        return " ".join(" ".join(self.read).split())

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.elements if name in attrs]


@pytest.fixture
def see():
    return Seen
