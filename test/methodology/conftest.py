"""Real digits, and the profile that is shared with other rooms."""

import pytest
from made_up_profile import PROFILE
from sklearn.datasets import load_digits

from topspark_ros.methodology.experiments import Data


@pytest.fixture(scope='session')
def profile():
    return PROFILE


@pytest.fixture(scope='session')
def digits():
    pixels, labels = load_digits(return_X_y=True)
    pixels, labels = pixels.astype('uint8'), labels.astype('int64')
    return Data('digits', pixels[:300], labels[:300], pixels[300:500], labels[300:500])
