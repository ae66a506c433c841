from img_tools.actions import Phase
from img_tools.plugins import load
from tests.support import Link, carried_out, plan


def test_what_was_written_since_the_logs_were_emptied_goes(image):
    """Cleanup defect 7: upstream empties logs, works on for minutes, and they fill again."""
    host = image({"/var/log/auth.log": ""})
    carried_out("logs", host)
    with open(f"{host.root.top}/var/log/auth.log", "w") as log:
        log.write("sshd: Invalid user admin\n")
    assert carried_out("final", host) == ["/var/log/auth.log"]


def test_nothing_else_is_its_business(image):
    assert plan("final", image({"/tmp/x": "x", "/root/.bash_history": "x"})) == []


def test_a_link_in_the_logs_is_not_followed(image):
    host = image({"/var/log/x": Link("/opt/acme/data"), "/opt/acme/data": "x"})
    assert plan("final", host) == []


def test_nothing_goes_after_it():
    phases = {plugin.id: plugin.phase for plugin in load("img_tools.cleaners", "plan")}
    assert max(phases.values()) == phases["final"] == Phase.FINAL
