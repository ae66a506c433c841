from tests.support import check, codes


def test_any_size_counts(image):
    """Defect 15: upstream passes a history below 200 bytes, which may hold a password."""
    host = image({"/root/.bash_history": "x"})
    assert codes(check("shell-history", host)) == [("fail", "shell-history")]
