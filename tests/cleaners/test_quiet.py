import pytest

from img_tools.actions import Phase
from img_tools.model import Skip
from img_tools.plugins import load
from tests.support import plan


def test_only_a_running_system_is_quieted(image):
    with pytest.raises(Skip):
        plan("quiet", image())


def test_it_is_the_first_of_all():
    """Cleanup defect 7: logs refill while scanners connect; who writes them must stop first."""
    phases = {plugin.id: plugin.phase for plugin in load("img_tools.cleaners", "plan")}
    assert phases.pop("quiet") == min(Phase)
    assert min(phases.values()) > min(Phase)
