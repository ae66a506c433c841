import pytest

from tests.support import Fifo, Link, carried_out, check, plan

SEED = "/var/lib/systemd/random-seed"


def test_what_the_system_makes_again_goes(image):
    """Cleanup defect 8: upstream leaves random seed and credential.secret."""
    files = [SEED, "/var/lib/systemd/credential.secret", "/boot/efi/loader/random-seed"]
    host = image(dict.fromkeys(files, "x"))
    assert carried_out("identity", host) == sorted(files)
    assert check("identity", host) == []


def test_identities_of_products_are_left_to_their_vendors(image):
    host = image({"/etc/krb5.keytab": "x", "/etc/pki/consumer/key.pem": "x",
                  "/var/lib/samba/private/secrets.tdb": "x"})
    assert plan("identity", host) == []
    assert all("img-clean" not in (finding.remediation or "")
               for finding in check("identity", host))


def test_stamps_of_timers_and_the_name_of_the_machine_stay(image):
    """Pitfall 22: with no stamps every timer would fire at a clone's first boot."""
    assert plan("identity", image({"/var/lib/systemd/timers/stamp-apt-daily.timer": "",
                                   "/etc/hostname": "acme\n", "/etc/adjtime": "x"})) == []


@pytest.mark.parametrize("what", [Link("/etc/passwd"), Fifo(), {}])
def test_a_seed_of_another_kind_leads_nowhere(image, what):
    assert plan("identity", image({SEED: what})) == []
