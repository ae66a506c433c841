import pytest

from tests.support import Fifo, Link, check, codes

ID = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("path", ["/tmp/build.sh", "/tmp/.hidden", "/var/tmp/.ansible",
                                  "/tmp/dir/x", "/var/tmp/x", "/tmp/systemd-private-mine/x"])
def test_everything_in_the_temporary_directories(image, path):
    """Defect 20: upstream's check of /tmp is empty and never called; names with a dot count."""
    host = image({path: "x"})
    assert codes(check("temp-files", host)) == [("warn", "temp-file")]


@pytest.mark.parametrize("what", ["", {}, Link("/etc/passwd"), Fifo()])
def test_whatever_it_is(image, what):
    assert codes(check("temp-files", image({"/tmp/x": what}))) == [("warn", "temp-file")]


@pytest.mark.parametrize("path", ["/dev/shm/img-check.0123456789ab/lists/x", "/dev/shm/x",
                                  "/run/img-check.0123456789ab/lists/x"])
def test_indexes_of_a_killed_run(image, path):
    """SIGKILL leaves them on the disk of a mounted image, below what is memory on a clone."""
    host = image({path: "x", "/run/lock": {}, "/run/utmp": ""})
    assert codes(check("temp-files", host)) == [("warn", "temp-file")]


def test_what_the_system_keeps_there(image):
    host = image({
        f"/tmp/systemd-private-{ID}-ntp.service-AbCdEf/tmp": {},
        f"/var/tmp/systemd-private-{ID}-ntp.service-AbCdEf/tmp": {},
        "/tmp/.X11-unix": {}, "/tmp/.ICE-unix": {}, "/tmp/.XIM-unix": {}, "/tmp/.font-unix": {},
        "/tmp/.Test-unix": {}, "/tmp/snap-private-tmp/snap.x": {},
    })
    host.boot_id = ID
    assert check("temp-files", host) == []


@pytest.mark.parametrize("boot_id", ["", "f" * 32])
def test_a_private_tmp_of_a_service_that_no_longer_runs(image, boot_id):
    """systemd removes it when the service stops; what a crash or a live snapshot left is data."""
    host = image({f"/tmp/systemd-private-{ID}-ntp.service-AbCdEf/tmp/secret": "x"})
    host.boot_id = boot_id
    assert codes(check("temp-files", host)) == [("warn", "temp-file")]


@pytest.mark.parametrize("path", ["/tmp/.X11-unix/X0", f"/tmp/systemd-private-{ID}-file",
                                  "/tmp/.font-unix/x"])
def test_what_only_looks_like_it(image, path):
    (finding,) = check("temp-files", image({path: "x"}))
    assert finding.path == path


def test_a_tmpfs_is_in_no_snapshot(image):
    host = image({"/tmp/x": "x"})
    host.volatile = frozenset({host.root.stat("/tmp").dev})
    assert check("temp-files", host) == []


@pytest.mark.parametrize(("path", "code"), [
    ("/root/.secret.env.swp", "editor-file"), ("/root/notes~", "editor-file"),
    ("/root/#notes#", "editor-file"), ("/etc/nginx/.nginx.conf.swo", "editor-file"),
    ("/etc/app/app.conf~", "editor-file"), ("/etc/app.conf.save", "editor-file"),
    ("/root/.swp", "editor-file"), ("/etc/ssh/sshd_config.dpkg-old", "superseded-config"),
    ("/etc/x.ucf-dist", "superseded-config"),
    ("/etc/my.cnf.rpmsave", "superseded-config"), ("/etc/app/app.conf.bak", "superseded-config"),
])
def test_stray_copies(image, path, code):
    (finding,) = check("temp-files", image({path: ""}))
    assert (finding.status, finding.code, finding.path) == ("warn", code, path)


def test_what_is_no_stray_copy(image):
    assert check("temp-files", image({
        "/etc/app.bak/app.conf": "a directory is somebody's choice", "/etc/ssh/sshd_config": "x",
        "/root/dump.sql": "x", "/etc/.pwd.lock": "", "/root/x.swp": "",
        "/etc/alternatives/vi.bak": Link("/usr/bin/vi"),
    })) == []


def test_no_temporary_directories(image):
    assert check("temp-files", image()) == []
