"""Domains out of the running Python and the packages that Tandem needs anyway."""

import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from pydoc_data import topics

from demo.corpus.texts import Document, NearDuplicates, grouped, package_file, paragraphs, tidy

# Tests and generated tables are not what a reader would call source code.
NOT_CODE = {
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "encodings",
    "pydoc_data",
    "lib2to3",
    "__pycache__",
}
CODE_BYTES = range(1_500, 14_000)
MANUAL_CHARACTERS = range(500, 8_000)
MATHEMATICS_CHARACTERS = range(500, 6_000)
LEGAL_CHARACTERS = 2_500
LICENCE_PACKAGES = ("matplotlib", "numpy", "pillow", "psycopg", "pyarrow", "typing-extensions")


def code() -> Iterator[Document]:
    """Yield whole modules of the standard library."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if NOT_CODE.intersection(relative.parts) or path.stat().st_size not in CODE_BYTES:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        yield Document(tidy(text), relative.as_posix())


def manual() -> Iterator[Document]:
    """Yield topics of the Python reference manual, as `help()` shows them."""
    new = NearDuplicates()
    # Long topics contain shorter ones word for word, so the short ones are looked at first.
    for name, text in sorted(topics.topics.items(), key=lambda item: (len(item[1]), item[0])):
        clean = tidy(re.sub(r"^\*{4,}$", "", text, flags=re.MULTILINE))
        if len(clean) in MANUAL_CHARACTERS and new.is_new(clean):
            yield Document(clean, f"pydoc_data.topics/{name}")


def mathematics() -> Iterator[Document]:
    """Yield the descriptions of mathematical functions, with their formulas, in mpmath."""
    path = package_file("mpmath", "mpmath/function_docs.py")
    new = NearDuplicates()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)):
            continue
        name, text = node.targets[0], node.value.value
        if isinstance(name, ast.Name) and isinstance(text, str):
            clean = tidy(text)
            if len(clean) in MATHEMATICS_CHARACTERS and new.is_new(clean):
                yield Document(clean, f"mpmath.function_docs/{name.id}")


def legal() -> Iterator[Document]:
    """Yield licence conditions that packages ship, each clause once."""
    new = NearDuplicates()
    for package in LICENCE_PACKAGES:
        for path in _licence_files(package):
            text = path.read_text(encoding="utf-8", errors="replace")
            clauses = [part for part in paragraphs(text) if len(part) > 80 and new.is_new(part)]  # noqa: PLR2004
            for number, piece in enumerate(grouped(clauses, LEGAL_CHARACTERS)):
                yield Document(piece, f"{package}/{path.name}#{number}")


def _licence_files(package: str) -> list[Path]:
    # The place in the wheel changed with PEP 639: .dist-info/LICENSE or .dist-info/licenses/**.
    folder = package_file(package, ".")
    stem = re.sub(r"[-_.]+", "[-_.]", package)
    found = (
        path
        for info in sorted(folder.iterdir())
        if re.fullmatch(rf"{stem}-[^-]+\.dist-info", info.name, re.IGNORECASE)
        for path in sorted(info.rglob("*"))
    )
    return [
        path
        for path in found
        if path.is_file() and re.search(r"licen[cs]e|copying|notice", path.name, re.IGNORECASE)
    ]
