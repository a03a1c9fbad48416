"""Makes an export of a job's manifest; the engine's refusals become problems."""

import io

from service.artifacts.store import FolderStore
from service.errors import ExportRefusedError, FieldProblem, ValidationFailedError
from service.jobs.models import Manifest
from tandem_engine import errors
from tandem_engine.exports.options import ExportOptions
from tandem_engine.exports.reading import (
    HEAD_FILE,
    LENGTHS_FILE,
    SHARDS_FILE,
    parse_head,
    read_lengths,
    read_shards,
)
from tandem_engine.exports.registry import WrittenExport, export_mixture


def make_export(
    store: FolderStore, manifest: Manifest, format_: str, options: ExportOptions
) -> WrittenExport:
    """Return the files of a format.

    Raises:
        ArtifactGoneError: a file of the manifest is gone or was changed.
        ValidationFailedError: there is no such format, or an option does not go with it.
        ExportRefusedError: the trainer cannot be given this mixture as it is.
    """
    content = store.read(manifest.job_id, manifest.path, HEAD_FILE, sha256=manifest.sha256)
    try:
        head = parse_head(content)
        sums = {entry["path"]: entry["sha256"] for entry in head["files"]}

        def table(name: str) -> io.BytesIO:
            place = (manifest.job_id, manifest.path, name)
            return io.BytesIO(store.read(*place, sha256=sums[name]))

        lengths = read_lengths(table(LENGTHS_FILE)) if LENGTHS_FILE in sums else {}
        return export_mixture(format_, head, lengths, read_shards(table(SHARDS_FILE)), options)
    except errors.ExportRefusedError as error:
        raise ExportRefusedError(error.message, errors=[_problem(error)]) from error
    except errors.InvalidSpecError as error:
        raise ValidationFailedError(error.message, errors=[_problem(error)]) from error


def _problem(error: errors.TandemError) -> FieldProblem:
    return FieldProblem(
        pointer=f"query:{error.field}",
        code=error.code,
        message=error.message,
        value=error.value,
        hint=error.hint,
    )
