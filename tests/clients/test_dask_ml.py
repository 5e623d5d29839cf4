"""dask-ml: training in portions, whatever is left for the last, and transforming by blocks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skae import AutoencoderTransformer

pytest.importorskip("dask_ml")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture
def blocks(digits):
    """The digits as a Dask array; the last block is a single row."""
    import dask.array as da

    return da.from_array(digits[:201], chunks=(100, 64))


def small(**params):
    return AutoencoderTransformer(3, hidden_layer_sizes=(8,), random_state=0, **params)


def test_incremental(digits, blocks):
    from dask_ml.wrappers import Incremental

    model = Incremental(small(), shuffle_blocks=False)
    model.fit(blocks)
    assert model.estimator_.n_iter_ == 3
    by_hand = small()
    for block in np.split(digits[:201], [100, 200]):
        by_hand.partial_fit(block)
    assert_allclose(model.estimator_.transform(digits), by_hand.transform(digits), rtol=1e-6)


def test_parallel_post_fit(digits, blocks):
    from dask_ml.wrappers import ParallelPostFit

    ae = small(max_iter=2).fit(digits)
    codes = ParallelPostFit(ae).transform(blocks)
    assert_allclose(np.asarray(codes), ae.transform(digits[:201]), rtol=1e-6)
