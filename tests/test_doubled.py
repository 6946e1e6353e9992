"""The list of doubled cases, in conftest.py, names tests that exist."""


def test_every_pattern_matches_a_test_where_all_were_collected(pytestconfig):
    assert pytestconfig.stale == []
