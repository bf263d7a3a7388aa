# SPDX-License-Identifier: Apache-2.0
"""Made-up embeddings with chosen distances: points of the encoder's sphere, nobody's face."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.population import expected

Floats = npt.NDArray[np.float64]


def someone(parameters: ParameterSet, rng: np.random.Generator) -> Floats:
    """Draw a unit embedding of an imaginary person, spread in the projection as people are."""
    y = rng.normal(size=parameters.k) * parameters.spread
    x = parameters.projection.mean + np.linalg.pinv(parameters.projection.matrix) @ y
    return x / np.linalg.norm(x)


def moved(parameters: ParameterSet, x: Floats, distance: float, rng: np.random.Generator) -> Floats:
    """Return a unit embedding whose projection is ``distance`` from that of x, in a random direction."""
    back = np.linalg.pinv(parameters.projection.matrix)
    direction = rng.normal(size=parameters.k)
    step = back @ (direction / np.linalg.norm(direction))
    # The sphere bends, so the step that gives the distance is found by halving.
    low, high = 0.0, 4 * distance + 1e-9
    origin = parameters.projection(x)
    for _ in range(60):
        middle = (low + high) / 2
        y = x + middle * step
        y /= np.linalg.norm(y)
        if np.linalg.norm(parameters.projection(y) - origin) < distance:
            low = middle
        else:
            high = middle
    return y


def attempt(parameters: ParameterSet, x: Floats, distance: float, rng: np.random.Generator) -> Floats:
    """Return a unit embedding as far from the enrolment of x as Rep sees it, in a random direction.

    Rep draws attempts to the mean, and all embeddings have one length, so there is a least distance (some 3 to 5
    deviations): the attempt that has it is what is returned where less is asked for.
    """
    back = np.linalg.pinv(parameters.projection.matrix)
    enrolled = parameters.projection(x)
    nearest = x
    for _ in range(20):
        nearest = nearest + back @ (enrolled - expected(parameters.projection(nearest), parameters.spread))
        nearest /= np.linalg.norm(nearest)
    direction = rng.normal(size=parameters.k)
    step = back @ (direction / np.linalg.norm(direction))
    # The sphere bends, so the step that gives the distance is found by halving.
    low, high = 0.0, 6 * distance + 1e-9
    for _ in range(60):
        middle = (low + high) / 2
        z = nearest + middle * step
        z /= np.linalg.norm(z)
        if np.linalg.norm(expected(parameters.projection(z), parameters.spread) - enrolled) < distance:
            low = middle
        else:
            high = middle
    return z
