"""How long documents are in tokens of the trainer: a random sample of each domain, counted.

A trainer's tokenizer makes other lengths than the job's, and not by one factor for all domains; the
share of documents that gives a share of its tokens follows from its own lengths.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.contracts.models import TokenizerSpec
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import Corpus
from tandem_engine.data.encode import encode_conversation, encode_texts
from tandem_engine.data.examples import loss_tokens
from tandem_engine.data.tokenise import Tokenizer, load_tokenizer
from tandem_engine.errors import DatasetEmptyError
from tandem_engine.inputs.access import EVERYWHERE, Access
from tandem_engine.inputs.documents import Document, iterate_file
from tandem_engine.inputs.files import SourceFile
from tandem_engine.inputs.listing import source_files
from tandem_engine.manifests.expand import FileRecords, first_records
from tandem_engine.manifests.inventory import inventory_of
from tandem_engine.manifests.permutation import permute
from tandem_engine.manifests.read import Manifest

SAMPLE = 1000
"""Documents per domain: the mean is known to about 3 % where lengths vary as much as they are."""

Numbers = npt.NDArray[np.int64]
_BATCH = 64


def measure_job(corpus: Corpus, spec: JobSpec, access: Access = EVERYWHERE) -> list[dict[str, Any]]:
    """Return rows of `lengths.parquet` by the tokenizer of `manifest.consumer`; none without one.

    Raises:
        TandemError: the tokenizer cannot be loaded, or a file cannot be read any more.
    """
    consumer = spec.manifest.consumer
    if consumer is None:
        return []
    tokenizer = load_tokenizer(consumer.tokenizer)
    rows: list[dict[str, Any]] = []
    for inventory, domain in zip(inventory_of(corpus, spec), spec.domains, strict=True):
        if inventory.documents is None:
            continue
        places = permute(
            np.arange(min(inventory.records, _candidates(inventory.records, consumer.documents))),
            inventory.records,
            seed=spec.seed,
            domain=inventory.name,
        )
        found = np.intersect1d(places, inventory.documents.numbers)
        if not found.size:
            found = inventory.documents.numbers
        files = _in_order(domain, [file.uri for file in inventory.files], access)
        firsts = first_records(inventory.files)
        places_of = [
            (file, FileRecords(counted.uri, first, counted.records))
            for file, counted, first in zip(files, inventory.files, firsts, strict=True)
        ]
        end = corpus.end_of_text
        rows += _measured(inventory.name, places_of, found[: consumer.documents], tokenizer, end)
    return rows


def measure_manifest(
    manifest: Manifest,
    tokenizer_spec: TokenizerSpec,
    *,
    documents: int = SAMPLE,
    access: Access = EVERYWHERE,
) -> list[dict[str, Any]]:
    """Return the same of a manifest in a folder, whose sources must still be there.

    Raises:
        TandemError: the tokenizer cannot be loaded, or a file cannot be read.
    """
    tokenizer = load_tokenizer(tokenizer_spec)
    rows: list[dict[str, Any]] = []
    for name, rule in manifest.rules.items():
        listed = [file for file in manifest.files if file.domain == name]
        wanted = permute(
            np.arange(min(rule.records, _candidates(rule.records, documents))),
            rule.records,
            seed=rule.seed,
            domain=name,
        )
        excluded = [manifest.excluded(file) for file in listed]
        numbers = np.setdiff1d(wanted, np.concatenate(excluded or [wanted[:0]]))
        files = [(manifest.source(file, access), file.records) for file in listed]
        end = manifest.head["tokenizer"].get("end_of_text")
        rows += _measured(name, files, numbers[:documents], tokenizer, end)
    return rows


def _candidates(records: int, documents: int) -> int:
    # Some records are held out or blank; all of a small domain are candidates.
    return min(records, 2 * documents)


def _in_order(domain: DomainSpec, uris: Sequence[str], access: Access) -> list[SourceFile]:
    by_uri = {file.uri: file for file in source_files(domain, access)}
    return [by_uri[uri] for uri in uris]


def _measured(
    name: str,
    files: Sequence[tuple[SourceFile, FileRecords]],
    numbers: Numbers,
    tokenizer: Tokenizer,
    end_of_text: int | None,
) -> list[dict[str, Any]]:
    counted: Counter[tuple[int, int]] = Counter()
    for file, records in files:
        low, high = np.searchsorted(numbers, [records.first, records.first + records.records])
        wanted = (numbers[low:high] - records.first).tolist()
        for batch in _batches(file, wanted, end_of_text):
            counted.update(_lengths(batch, file, tokenizer))
    if not counted:
        raise DatasetEmptyError(
            f"no document of {name!r} could be sampled",
            field="manifest.consumer",
            value=name,
            hint="raise manifest.consumer.documents",
        )
    return [
        {
            "domain": name,
            "counted_by": "consumer",
            "tokens": tokens,
            "loss_tokens": loss,
            "documents": documents,
        }
        for (tokens, loss), documents in sorted(counted.items())
    ]


def _batches(
    file: SourceFile, wanted: Sequence[int], end_of_text: int | None
) -> Iterator[list[Document]]:
    left = set(wanted)
    batch: list[Document] = []
    if not left:
        return
    last = wanted[-1]
    for document in iterate_file(file, end_of_text=end_of_text, on_malformed=lambda *_: None):
        if document.index in left:
            batch.append(document)
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if document.index >= last:
            break
    if batch:
        yield batch


def _lengths(
    batch: Sequence[Document], file: SourceFile, tokenizer: Tokenizer
) -> Iterator[tuple[int, int]]:
    if file.records != "text":
        for document in batch:
            coded = encode_conversation(document, tokenizer, file)
            # A response that the template leaves nothing of is read and not learned.
            yield len(coded), loss_tokens(coded)
    elif batch[0].tokens is not None:
        # Tokens that are there already are the trainer's.
        yield from ((len(ids), len(ids)) for d in batch if (ids := d.tokens) is not None)
    else:
        yield from ((len(ids), len(ids)) for ids in encode_texts(batch, tokenizer))
