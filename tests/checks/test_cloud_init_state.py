import pytest

from tests.support import Link, check, codes, mended_by

BASE = "/var/lib/cloud"


def test_a_clean_image_keeps_its_scripts_and_configuration(image):
    host = image({
        f"{BASE}/scripts/per-instance/001_onboot": "#!/bin/sh\n", f"{BASE}/scripts/per-boot/1": "x",
        f"{BASE}/scripts/vendor": {}, f"{BASE}/instances": {}, f"{BASE}/seed": {},
        f"{BASE}/seed/nocloud-net": {}, f"{BASE}/sem": {}, f"{BASE}/data": {},
        "/etc/cloud/cloud.cfg.d/90-digitalocean.cfg": "a: b", "/run/cloud-init/result.json": "{}",
    })
    assert check("cloud-init-state", host) == []


@pytest.mark.parametrize(("files", "path"), [
    ({f"{BASE}/instance": Link(f"{BASE}/instances/gone")}, f"{BASE}/instance"),
    ({f"{BASE}/instances/123/user-data.txt": "x"}, f"{BASE}/instances/123"),
    ({f"{BASE}/data/instance-id": ""}, f"{BASE}/data/instance-id"),
    ({f"{BASE}/sem/config_scripts_per_once.once": ""}, f"{BASE}/sem/config_scripts_per_once.once"),
])
def test_state_of_the_build_machine(image, files, path):
    """Defect 21: upstream does not look at instance data, and its cleanup leaves data/ and sem/."""
    (found,) = check("cloud-init-state", image(files))
    assert (found.status, found.code, found.path) == ("fail", "instance-state", path)
    assert mended_by(found) == "cloud-init-state"


def test_a_seed_is_a_warning(image):
    host = image({f"{BASE}/seed/nocloud-net/user-data": "#cloud-config\npassword: x\n"})
    assert codes(check("cloud-init-state", host)) == [("warn", "seed")]


@pytest.mark.parametrize("name", ["99-installer.cfg", "curtin-preserve-sources.cfg",
                                  "subiquity-disable-cloudinit-networking.cfg"])
def test_leftovers_of_the_installer_are_for_a_person_to_judge(image, name):
    (found,) = check("cloud-init-state", image({f"/etc/cloud/cloud.cfg.d/{name}": "a: b\n"}))
    assert (found.status, found.code) == ("warn", "installer-config")
    assert found.remediation.startswith("read it, then: rm")
