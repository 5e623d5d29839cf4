"""The tests that `make check` runs for a change."""

import pytest

from changed import MOST, nearest_tests

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

TESTS = {
    "test_losses.py": "from skae.losses._reconstruction import LOSSES",
    "test_penalties.py": "from skae.losses import _penalties",
    "test_registries.py": "from skae import x\nfrom skae.losses._penalties import PENALTIES",
    "test_tables.py": "from skae.tables import TabularEncoder",
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/test_tables.py", ["test_tables.py"]),
        # By its name, by that of its folder, by imports.
        (
            "skae/losses/_penalties.py",
            ["test_penalties.py", "test_losses.py", "test_registries.py"],
        ),
        ("skae/losses/_reconstruction.py", ["test_losses.py"]),
        ("skae/networks/_dense.py", []),
        ("docs/install.rst", []),
        ("tests/test_deleted.py", []),
    ],
)
def test_the_nearest_tests_are_found(path, expected):
    assert nearest_tests([path], TESTS) == expected


def test_tests_that_changed_come_first_and_not_too_many():
    paths = ["skae/losses/_penalties.py", "tests/test_tables.py"]
    assert nearest_tests(paths, TESTS)[:2] == ["test_tables.py", "test_penalties.py"]
    names = [f"test_{number}.py" for number in range(9)]
    assert (
        nearest_tests([f"tests/{name}" for name in names], dict.fromkeys(names, ""))
        == names[:MOST]
    )
