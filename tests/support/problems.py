"""Bi-level problems whose best mixture is known, in float64 and without noise."""

from collections.abc import Sequence

import numpy as np
import scipy.optimize
import torch
from torch import Tensor


class MeanMatching:
    """Train optimum of domain m is the unit vector e_m, so x(alpha) = alpha.

    L_train^m(x) = |x - e_m|^2 / 2 and L_val^m(x) = |x - b_m|^2 / 2. Hence the best alpha is the
    Euclidean projection of the mean of the b_m onto the simplex: a closed form.
    """

    def __init__(self, validation_MM: Sequence[Sequence[float]]) -> None:
        self.validation = torch.tensor(validation_MM, dtype=torch.float64)
        self.domains = [f"domain-{index}" for index in range(len(self.validation))]

    def initial_parameters(self) -> Tensor:
        return torch.zeros(len(self.domains), dtype=torch.float64)

    def train_losses(self, parameters: Tensor) -> Tensor:
        corners = torch.eye(len(self.domains), dtype=torch.float64)
        return ((parameters - corners) ** 2).sum(dim=1) / 2

    def val_losses(self, parameters: Tensor) -> Tensor:
        return ((parameters - self.validation) ** 2).sum(dim=1) / 2


class Ridge:
    """Ridge regression: few noisy train points per domain, validation without noise."""

    def __init__(self, seed: int = 0, *, corrupted: int | None = None) -> None:
        random = np.random.default_rng(seed)
        size, dimension = [40, 20, 10, 5], 4
        self.domains = [f"domain-{index}" for index in range(len(size))]
        shared = random.normal(size=dimension)
        truth = [shared + 0.4 * random.normal(size=dimension) for _ in size]
        self.train, self.validation = [], []
        for index, count in enumerate(size):
            x = random.normal(size=(count, dimension))
            y = x @ truth[index] + 0.5 * random.normal(size=count)
            if index == corrupted:
                y = -6.0 * (x @ truth[index])
            self.train.append((torch.tensor(x), torch.tensor(y)))
            x = random.normal(size=(200, dimension))
            clean = truth[index] if index != corrupted else shared
            self.validation.append((torch.tensor(x), torch.tensor(x @ clean)))
        self._dimension = dimension

    def initial_parameters(self) -> Tensor:
        return torch.zeros(self._dimension, dtype=torch.float64)

    def train_losses(self, parameters: Tensor) -> Tensor:
        ridge = 0.05 * (parameters**2).sum()
        return torch.stack([((x @ parameters - y) ** 2).mean() / 2 for x, y in self.train]) + ridge

    def val_losses(self, parameters: Tensor) -> Tensor:
        return torch.stack([((x @ parameters - y) ** 2).mean() / 2 for x, y in self.validation])


class Softmax:
    """Softmax regression on few points, some with wrong labels; validation labels are right."""

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        size, noise = [120, 60, 30, 15, 8], [0.05, 0.3, 0.0, 0.4, 0.0]
        self._features, self._classes = 4, 3
        self.domains = [f"domain-{index}" for index in range(len(size))]
        shared = random.normal(size=(self._features, self._classes))
        self.train, self.validation = [], []
        for count, wrong in zip(size, noise, strict=True):
            truth = shared + 0.8 * random.normal(size=shared.shape)
            for target, n, error in ((self.train, count, wrong), (self.validation, 300, 0.0)):
                x = random.normal(size=(n, self._features))
                y = (x @ truth).argmax(axis=1)
                flipped = random.random(n) < error
                y[flipped] = random.integers(0, self._classes, flipped.sum())
                target.append((torch.tensor(x), torch.tensor(y)))

    def initial_parameters(self) -> Tensor:
        return torch.zeros(self._features * self._classes, dtype=torch.float64)

    def _losses(self, parameters: Tensor, data: list[tuple[Tensor, Tensor]]) -> Tensor:
        weights = parameters.view(self._features, self._classes)
        return torch.stack([torch.nn.functional.cross_entropy(x @ weights, y) for x, y in data])

    def train_losses(self, parameters: Tensor) -> Tensor:
        return self._losses(parameters, self.train) + 0.01 * (parameters**2).sum()

    def val_losses(self, parameters: Tensor) -> Tensor:
        return self._losses(parameters, self.validation)


Problem = MeanMatching | Ridge | Softmax


def inner_optimum(problem: Problem, alpha: Sequence[float]) -> Tensor:
    """Return argmin_x L_train(alpha, x) by Newton's method; the problems are convex."""
    alpha_M = torch.as_tensor(np.asarray(alpha), dtype=torch.float64)

    def loss(x: Tensor) -> Tensor:
        return (alpha_M * problem.train_losses(x)).sum()

    x = problem.initial_parameters()
    for _ in range(50):
        gradient = torch.func.grad(loss)(x)
        x = x - torch.linalg.solve(torch.func.hessian(loss)(x), gradient)
        if float(gradient.norm()) < 1e-10:
            break
    return x


def upper_loss(problem: Problem, alpha: Sequence[float]) -> float:
    """Return H(alpha): the mean validation loss at the inner optimum."""
    return float(problem.val_losses(inner_optimum(problem, alpha)).mean())


def best_mixture(problem: Problem) -> np.ndarray:
    """Return argmin H over the simplex by sequential quadratic programming, several starts."""
    count = len(problem.domains)
    starts = [np.full(count, 1 / count), *(0.9 * np.eye(count) + 0.1 / count)]
    results = [
        scipy.optimize.minimize(
            lambda a: upper_loss(problem, a),
            start,
            method="SLSQP",
            bounds=[(0.0, 1.0)] * count,
            constraints={"type": "eq", "fun": lambda a: a.sum() - 1},
        )
        for start in starts
    ]
    return min(results, key=lambda result: result.fun).x
