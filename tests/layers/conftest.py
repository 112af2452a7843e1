"""Every layer test draws the same weights, dropout and noise in every run."""

import keras
import pytest


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)
