"""The profile that is shared with other rooms."""

import pytest
from made_up_profile import PROFILE


@pytest.fixture(scope='session')
def profile():
    return PROFILE
