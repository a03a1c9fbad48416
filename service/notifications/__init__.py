"""Tells data platforms what became of jobs: CloudEvents to a webhook, lineage to OpenLineage."""
