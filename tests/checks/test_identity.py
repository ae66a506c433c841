import pytest

from tests.support import check, codes


def test_a_clean_image(image):
    assert check("identity", image({"/var/lib/systemd": {}, "/var/lib/dhcp": {}})) == []


@pytest.mark.parametrize(("path", "status", "code"), [
    ("/var/lib/systemd/random-seed", "warn", "random-seed"),
    ("/var/lib/urandom/random-seed", "warn", "random-seed"),
    ("/boot/efi/loader/random-seed", "warn", "random-seed"),
    ("/var/lib/systemd/credential.secret", "fail", "credential-secret"),
    ("/etc/krb5.keytab", "warn", "kerberos-keytab"),
    ("/etc/pki/consumer/key.pem", "warn", "subscription"),
    ("/var/lib/ubuntu-advantage/private/machine-token.json", "warn", "subscription"),
])
def test_each_is_found_once_and_not_shown(image, path, status, code):
    """Defect 23: upstream looks at none of these."""
    (finding,) = check("identity", image({path: "s3cret"}))
    assert (finding.status, finding.code, finding.path) == (status, code, path)
    assert "s3cret" not in repr(finding)
    assert finding.remediation


def test_an_empty_marker_of_pollinate_counts(image):
    assert codes(check("identity", image({"/var/cache/pollinate/seeded": ""}))) == [
        ("warn", "pollinate")]


@pytest.mark.parametrize("content", ["GenerateName=yes\n", "# InitiatorName=iqn\n", ""])
def test_an_iscsi_name_still_to_be_made(image, content):
    assert check("identity", image({"/etc/iscsi/initiatorname.iscsi": content})) == []


def test_an_iscsi_name(image):
    host = image({"/etc/iscsi/initiatorname.iscsi": "## x\nInitiatorName=iqn.1993-08.org:01:ab\n"})
    (finding,) = check("identity", host)
    assert finding.remediation == "echo GenerateName=yes > /etc/iscsi/initiatorname.iscsi"
