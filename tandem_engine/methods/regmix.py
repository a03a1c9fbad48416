r"""RegMix (Liu et al. 2024, arXiv 2407.01492; code sail-sg/regmix, MIT).

Small proxies train on N mixtures (`tandem_engine.methods.swarm`). A regression per validation loss
predicts it from the mixture; of many mixtures drawn from :math:`\mathrm{Dir}(q)` the best predicted
ones are averaged:

.. math:: \hat\alpha = \operatorname{mean} \operatorname{argmin}^{(n)}_{r \sim \mathrm{Dir}(q)}
    \sum_j v_j \hat L_j(r)

The answer cannot leave the cloud that q spans, as in the original.

Deviations: LightGBM grows a fixed number of trees (the published notebook stops on its test set),
and a leaf may hold as few as a tenth of the proxies, at most the usual 20: with LightGBM's default
a few dozen proxies would give a constant. The target is the weighted mean of all validation losses
where the authors took one (Pile-CC). Bounds on shares hold for the answer, not for the proxies.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tandem_engine.contracts.methods.fitted import RegmixMethod
from tandem_engine.errors import MissingLibraryError
from tandem_engine.methods.protocol import MethodSetup
from tandem_engine.methods.swarm import Mixtures, Swarm, scatter

TREES = 1000
TREE_RATE = 0.01
Losses = NDArray[np.float64]


class LinearRegressor:
    r"""Least squares, :math:`\hat L(r) = r \cdot b`; shares sum to 1, so there is no intercept."""

    def fit(self, mixtures_NM: Mixtures, losses_N: Losses) -> None:
        """Take mixtures and one loss of each."""
        self._slope_M = np.linalg.lstsq(mixtures_NM, losses_N, rcond=None)[0]

    def predict(self, mixtures_CM: Mixtures) -> Losses:
        """Return the predicted loss of each mixture."""
        predicted: Losses = mixtures_CM @ self._slope_M
        return predicted


class LightgbmRegressor:
    """Gradient-boosted trees with the published rate and number."""

    def __init__(self) -> None:
        """Load the library.

        Raises:
            MissingLibraryError: it is not installed.
        """
        try:
            import lightgbm  # noqa: PLC0415 - optional, and slow to load
        except ImportError as error:
            raise MissingLibraryError(
                "method regmix with regressor 'lightgbm' needs lightgbm on the worker",
                field="method.regressor",
                value="lightgbm",
                hint="pip install 'tandem-mix[methods]', or set method.regressor to 'linear'",
            ) from error
        self._lightgbm: Any = lightgbm

    def fit(self, mixtures_NM: Mixtures, losses_N: Losses) -> None:
        """Take mixtures and one loss of each."""
        parameters = {
            "objective": "regression",
            "learning_rate": TREE_RATE,
            "min_data_in_leaf": max(1, min(20, len(losses_N) // 10)),
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "seed": 0,
            "verbose": -1,
        }
        data = self._lightgbm.Dataset(mixtures_NM, losses_N, params={"verbose": -1})
        self._booster = self._lightgbm.train(parameters, data, num_boost_round=TREES)

    def predict(self, mixtures_CM: Mixtures) -> Losses:
        """Return the predicted loss of each mixture."""
        predicted: Losses = self._booster.predict(mixtures_CM, num_threads=1)
        return predicted


def build_regressor(kind: str) -> LinearRegressor | LightgbmRegressor:
    """Return a regressor: `linear` or `lightgbm`."""
    return LinearRegressor() if kind == "linear" else LightgbmRegressor()


def predicted_losses(
    kind: str, tried_NM: Mixtures, losses_NJ: Losses, candidates_CM: Mixtures
) -> Losses:
    """Return the predicted losses of candidates, shape (C, J), one regression for each loss."""
    columns = []
    for losses_N in losses_NJ.T:
        regressor = build_regressor(kind)
        regressor.fit(tried_NM, losses_N)
        columns.append(regressor.predict(candidates_CM))
    return np.stack(columns, axis=1)


def best_average(candidates_CM: Mixtures, predicted_C: Losses, count: int) -> Mixtures:
    """Return the mean of the `count` candidates with the least predicted loss, shape (M,)."""
    best = np.argsort(predicted_C, kind="stable")[:count]
    average: Mixtures = candidates_CM[best].mean(axis=0)
    return average


class Regmix(Swarm):
    """A run of RegMix."""

    def __init__(self, setup: MethodSetup) -> None:
        """Take the run's setup; a missing library is told before any training."""
        settings = setup.spec.method
        assert isinstance(settings, RegmixMethod)  # noqa: S101 - the registry's promise
        build_regressor(settings.regressor)
        self._settings = settings
        super().__init__(setup, settings)

    def answer(self, tried_NM: Mixtures, losses_NJ: Losses) -> Mixtures:
        """Return the mean of the best predicted mixtures."""
        settings = self._settings
        candidates_CM = scatter(
            self._prior, settings.candidates, self._generator("candidates"), strengths=(1.0,)
        )
        predicted_CJ = predicted_losses(settings.regressor, tried_NM, losses_NJ, candidates_CM)
        return best_average(candidates_CM, predicted_CJ @ self.judge_weights, settings.averaged)
