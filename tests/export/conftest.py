"""Every exported model has the same weights in every run.

A layer's initializers take their seeds when the layer is made, so the generators are
set before each module's shared models and before each test.
"""

import keras
import pytest


@pytest.fixture(autouse=True, scope="module")
def seeded_module():
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)
