"""The fenced blocks of the documents, and what stands around them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    path
    for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))
    if path.name != "CHANGELOG.md"
]
_FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"^`(?P<name>[\w./-]+\.\w+)`$")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    document: Path
    line: int
    language: str
    text: str
    file: str | None
    """The file it is to be written to, where the line before names one by itself."""

    @property
    def where(self) -> str:
        """As a failing test names it."""
        return f"{self.document.name}:{self.line}"


def blocks_of(document: Path, *languages: str) -> list[Block]:
    """The blocks of a document in order, of these languages or of all."""
    text = document.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        before = text[: fence.start()].rstrip().rpartition("\n")[2]
        name = _NAME.match(before)
        found.append(
            Block(
                document,
                text.count("\n", 0, fence.start()) + 1,
                fence["language"],
                fence["text"],
                name["name"] if name else None,
            )
        )
    return [block for block in found if not languages or block.language in languages]


def every(*languages: str) -> list[Block]:
    """The blocks of all documents."""
    return [block for document in DOCUMENTS for block in blocks_of(document, *languages)]
