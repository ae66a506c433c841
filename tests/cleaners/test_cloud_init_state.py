from tests.support import File, Link, carried_out, check, plan

BASE = "/var/lib/cloud"
SCRIPTS = {f"{BASE}/scripts/{kind}/001_onboot": File("#!/bin/sh\n", mode=0o755)
           for kind in ("per-instance", "per-boot", "per-once")}
CONFIG = {"/etc/cloud/cloud.cfg": "users: [default]\n",
          "/etc/cloud/cloud.cfg.d/90_acme.cfg": "x: y"}


def test_all_that_knows_the_build_machine_goes(image):
    """Cleanup defect 13: upstream removes instances/*, and leaves their link, data and marks.

    Pitfall 9: with semaphores left, steps that run once never run on a clone.
    """
    files = [f"{BASE}/instances/1", f"{BASE}/data/instance-id", f"{BASE}/data/previous-datasource",
             f"{BASE}/sem/config_scripts_per_once.once", f"{BASE}/handlers/h.py"]
    host = image({**dict.fromkeys(files[1:], "x"), f"{files[0]}/user-data.txt": "x",
                  f"{BASE}/instance": Link(f"{BASE}/instances/1"),
                  f"{BASE}/seed/nocloud/user-data": "x"})
    assert carried_out("cloud-init-state", host) == sorted(
        [*files, f"{BASE}/instance", f"{BASE}/seed/nocloud"])
    assert check("cloud-init-state", host) == []


def test_first_boot_scripts_and_configuration_stay(image):
    """Pitfall 8: `cloud-init clean` removes the scripts, and locks customers out of the clone."""
    host = image({**SCRIPTS, **CONFIG, f"{BASE}/sem/x": ""})
    assert carried_out("cloud-init-state", host) == [f"{BASE}/sem/x"]
    assert all(host.root.is_file(path) for path in SCRIPTS)


def test_an_instance_that_is_a_directory_goes_too(image):
    """Pitfall 9: cloud-init does not boot with a directory in the place of its link."""
    host = image({f"{BASE}/instance/x": "x"})
    assert carried_out("cloud-init-state", host) == [f"{BASE}/instance"]


def test_settings_of_the_installer_are_only_reported(image):
    host = image({"/etc/cloud/cloud.cfg.d/99-installer.cfg": "x"})
    assert plan("cloud-init-state", host) == []
    assert check("cloud-init-state", host)[0].remediation.startswith("read it")


def test_links_lead_nowhere(image):
    host = image({f"{BASE}/instances/1": Link("/opt/acme"), f"{BASE}/data/x": Link("/"),
                  "/opt/acme/x": "x"})
    assert carried_out("cloud-init-state", host) == [f"{BASE}/data/x", f"{BASE}/instances/1"]
    assert host.root.read_text("/opt/acme/x") == "x"
