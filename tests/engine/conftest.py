"""Assertions in the harness tell what differs."""

import pytest

pytest.register_assert_rewrite("tests.engine.scenarios")
