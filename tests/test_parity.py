"""docs/parity.md is true: each defect it lists has a test that names it."""

from tests import parity

YUM = {14}  # the RHEL family is not judged yet


def test_the_list_of_tests_is_current():
    message = "run python -m tests.parity"
    assert parity.DOCUMENT.read_text("utf-8") == parity.current(), message


def test_every_defect_has_a_row_and_a_test():
    assert parity.rows() == list(range(1, 42))
    assert set(range(1, 42)) - YUM <= set(parity.named())
