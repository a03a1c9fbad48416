"""The demonstration's job: seven small domains in the data-restricted scenario."""

from pathlib import Path

from demo.corpus.build import CorpusRecord
from tandem_engine.contracts.domains import DomainSpec
from tandem_engine.contracts.evaluation import SplitSpec
from tandem_engine.contracts.spec import JobSpec

HELD_OUT = 0.15
"""More than the default 0.1, so that the smallest domain still has a test worth its name."""


def demo_spec(corpus: Path, record: CorpusRecord, *, seed: int = 0) -> JobSpec:
    """Return the job on the corpus in `corpus`; the rest comes from the scenario's preset."""
    return JobSpec(
        scenario="data_restricted",
        domains=[
            DomainSpec(name=domain.name, uris=[(corpus / domain.file).resolve().as_uri()])
            for domain in record.domains
        ],
        split=SplitSpec(validation_fraction=HELD_OUT, test_fraction=HELD_OUT),
        seed=seed,
    )
