"""What a job's learning consists of: runs of Algorithm 1 in a fixed order, and their random roots.

Seed by seed. Where the domains have bounds on their shares and the specification asks for it, a
seed begins with a run without them, so that the newest alpha of a finished job lies within. Then
come the first run within the bounds and its restarts, of which the last one counts.

Runs of one seed share their initial weights. A restart draws its data in an order of its own:
the noise of one order would else push alpha the same way in each pass.
"""

from dataclasses import dataclass

from tandem_engine.contracts.spec import JobSpec
from tandem_engine.seeding import derive_seed


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run of Algorithm 1."""

    run: int
    """Place in the plan, from 0."""
    seed: int
    """Learning seed, from 0."""
    restart: int
    """Runs within the bounds of the same seed that came before."""
    bounded: bool
    """Whether the bounds on shares hold."""

    def weights_root(self, root: int) -> int:
        """Return the seed of the initial weights; `root` is the specification's, and that of 0."""
        return root if self.seed == 0 else derive_seed(root, "learning", self.seed)

    def data_root(self, root: int) -> int:
        """Return the seed of the order of the data; the first runs have that of their weights."""
        weights = self.weights_root(root)
        return weights if self.restart == 0 else derive_seed(weights, "restart", self.restart)


def plan_runs(spec: JobSpec) -> list[PlannedRun]:
    """Return the runs of a job in their order."""
    learning = spec.learning
    kinds = [(restart, True) for restart in range(learning.restarts + 1)]
    if learning.unconstrained and has_bounds(spec):
        kinds = [(0, False), *kinds]
    runs = [(seed, *kind) for seed in range(learning.seeds) for kind in kinds]
    return [PlannedRun(run, *labels) for run, labels in enumerate(runs)]


def has_bounds(spec: JobSpec) -> bool:
    """Tell if a domain names a bound on its share, be it one that never binds."""
    return any(
        bound is not None
        for domain in spec.domains
        for bound in (domain.minimum_share, domain.maximum_share, domain.maximum_epochs)
    )
