"""The Packer templates, run by the Packer of Debian 12 from an empty machine to a snapshot."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.container.server import HASH
from tests.container.test_life import residues
from tests.integrations.cloud import ENDPOINT, TOKEN, Call
from tests.integrations.conftest import ROOT, Host, Site, demand, secrets_of
from tests.packaging.support import inside
from tests.rootfs import running

TEMPLATES = ROOT / "integrations/packer"
DROPLET = TEMPLATES / "droplet/droplet.pkr.hcl"
LEGACY = TEMPLATES / "droplet/droplet.json"
QEMU = TEMPLATES / "qemu/qemu.pkr.hcl"
CANARY = "canary-of-the-build"


# What a vendor's build may leave. On Debian 13 it leaves what only the vendor can mend.
BUILD = f"""#!/bin/sh
set -e
test "$(id -u)" = 0
echo "mysql -p{CANARY}" >/root/.bash_history
echo {CANARY} >/tmp/download
echo {CANARY} >/var/tmp/.hidden
logger --tag build {CANARY}
. /etc/os-release
if [ "$VERSION_ID" = 13 ]; then
    usermod --password '{HASH}' root
fi
"""


@pytest.fixture(autouse=True)
def _packer() -> None:
    demand("packer", "curl", "sha256sum")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    script = tmp_path / "build.sh"
    script.write_text(BUILD)
    return script


def packer(site: Site, *args: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return site.run("packer", *args, env={"CHECKPOINT_DISABLE": "1",
                                          "PACKER_CACHE_DIR": str(site.home / "cache"), **env})


def variables(**settings: object) -> list[str]:
    return [word for name, value in settings.items() for word in ("-var", f"{name}={value}")]


# -- the templates as they are -------------------------------------------------------------------


def test_they_are_formatted_and_valid(tmp_path):
    env = {**os.environ, "CHECKPOINT_DISABLE": "1", "HOME": str(tmp_path),
           "DIGITALOCEAN_ACCESS_TOKEN": TOKEN}
    (tmp_path / "build.sh").touch()
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", tmp_path / "key"], check=True)
    for folder in ("droplet", "qemu"):
        subprocess.run(["packer", "fmt", "-check", TEMPLATES / folder], check=True, env=env)
    settings = variables(img_tools="x")
    for template in (DROPLET, LEGACY, QEMU):
        base = variables(base="x", base_sha256="0" * 64) if template == QEMU else []
        done = subprocess.run(["packer", "validate", *settings, *base, template], cwd=tmp_path,
                              env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_token_nothing_starts(tmp_path):
    (tmp_path / "build.sh").touch()
    done = subprocess.run(["packer", "validate", "-var", "img_tools=x", DROPLET], cwd=tmp_path,
                          env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "api_token for auth must be specified" in done.stdout + done.stderr


def block(template: Path) -> str:
    """The provisioners that are to be copied into other templates."""
    begin, end = r"\n  # The rest is img-tools", r"\n(?=\n|\}\n)"
    (found,) = re.findall(f"{begin}.*?{end}", template.read_text(), re.S)
    return found


def test_the_block_to_copy_is_the_same_everywhere():
    assert block(DROPLET) == block(QEMU)


# -- where img-tools comes from ------------------------------------------------------------------


def fetch(
    target: Path, source: object, sha256: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", TEMPLATES / "fetch.sh"], capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "SOURCE": str(source), "SHA256": sha256,
             "TARGET": str(target), **env})


def test_a_file_of_the_right_checksum_is_taken(tmp_path):
    source, target = tmp_path / "a file", tmp_path / "target"
    source.write_bytes(b"program")
    assert fetch(target, source, hashlib.sha256(b"program").hexdigest()).returncode == 0
    assert target.read_bytes() == b"program"
    assert fetch(target, source).returncode == 0


@pytest.fixture
def site_with_tls(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a file "program" that holds that word, and the certificate to trust."""
    demand("openssl")
    place, key, certificate = tmp_path / "www", tmp_path / "tls.key", tmp_path / "tls.pem"
    place.mkdir()
    (place / "program").write_bytes(b"program")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    handler = partial(SimpleHTTPRequestHandler, directory=str(place))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}/program", certificate
        server.shutdown()


def test_a_url_is_fetched_and_compared(tmp_path, site_with_tls):
    url, certificate = site_with_tls
    right, target = hashlib.sha256(b"program").hexdigest(), tmp_path / "target"
    trust = {"CURL_CA_BUNDLE": str(certificate)}
    assert fetch(target, url, "0" * 64, **trust).returncode == 1
    assert fetch(target, url, right).returncode == 1, "nobody vouches for the certificate"
    assert not target.exists()
    assert fetch(target, url, right, **trust).returncode == 0
    assert target.read_bytes() == b"program"


@pytest.mark.parametrize(("source", "sha256", "said"), [
    ("FILE", "0" * 64, "wrong checksum"),
    ("FILE", "no checksum", "wrong checksum"),
    ("https://127.0.0.1:9/x", "", "needs its checksum"),
    ("https://127.0.0.1:9/x", "0" * 64, "cannot be fetched"),
    ("http://127.0.0.1:9/x", "0" * 64, "https alone"),
    ("FILE.gone", "", "cannot stat"),
    ("", "", "which one"),
])
def test_anything_else_is_refused_and_leaves_nothing(tmp_path, source, sha256, said):
    (tmp_path / "FILE").write_bytes(b"program")
    place = tmp_path / "place"
    place.mkdir()
    done = fetch(place / "target", source.replace("FILE", str(tmp_path / "FILE")), sha256)
    assert done.returncode == 1
    assert said in done.stderr
    assert list(place.iterdir()) == []


# -- the scripts of the build machine ------------------------------------------------------------

ONCE = """
cp /srv/upload /run/img-tools.upload
PATH=/usr/sbin:/usr/bin:/sbin:/bin IMG_CLEAN_OPTIONS='--only mail-and-spools' sh /srv/img-tools.sh
sh /srv/verdict.sh || echo "verdict $?"
ls /run/img-tools
"""


def test_the_rpm_on_an_el_system(rocky, rpm):
    """What fails leaves the report, and img-tools where it is."""
    shutil.copy(rpm, rocky.tree / "srv/upload")
    for name in ("img-tools.sh", "verdict.sh"):
        shutil.copy(TEMPLATES / name, rocky.tree / "srv")
    shown = inside(rocky.tree, "sh", "-euc", ONCE)
    assert "verdict 1\nexit-code\nreport.json\n" in shown
    assert "img-tools-" in rocky.chroot("rpm", "-q", "img-tools")


def test_what_is_no_program_stops_the_build(tree):
    top = tree("bookworm")
    (top / "srv/upload").write_text("<html>404 Not Found</html>")
    for name in ("img-tools.sh", "verdict.sh"):
        shutil.copy(TEMPLATES / name, top / "srv")
    shown = inside(top, "sh", "-c", f"{ONCE}\ntrue")
    assert "verdict 3\nexit-code\nprogram\n" in shown


# -- one machine, over ssh -----------------------------------------------------------------------


def test_the_block_in_another_template(site, single, build, tmp_path):
    """A build that passes: nothing of it is left, nor of Packer and img-tools; keys are gone."""
    host = site.host("bookworm")
    done = packer(site, "build", *variables(img_tools=single, img_tools_sha256=sha256(single)),
                  *null_template(site, host, build))
    assert done.returncode == 0, done.stdout
    assert "img-tools: clean and checked" in done.stdout
    report = json.loads((site.home / "report-there.json").read_text())
    assert (report["verdict"], report["check"]["exit_code"]) == ("pass", 0)
    assert not (host.box.tree / "root/.ssh/authorized_keys").exists()
    assert secrets_of(host.box, [CANARY.encode(), b"img-clean"]) == []
    assert not list(host.box.tree.glob("usr/local/bin/img-*"))


def copied(site: Site, template: Path) -> Path:
    """TEMPLATE where a user has it: what it makes lies beside it."""
    place = site.home / "packer"
    if not place.exists():
        shutil.copytree(TEMPLATES, place)
    return place / template.relative_to(TEMPLATES)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def null_template(site: Site, host: Host, build: Path) -> list[str]:
    """The arguments that build a template of somebody else with the block copied into it."""
    folder = copied(site, DROPLET).parents[1] / "mine"
    folder.mkdir()
    found = re.findall(r'variable "img_\w+" \{.*?\n\}\n', DROPLET.read_text(), re.S)
    (folder / "mine.pkr.hcl").write_text("\n".join([*found, f"""
source "null" "there" {{
  ssh_host             = "{host.address}"
  ssh_username         = "root"
  ssh_private_key_file = "{site.key}"
}}
build {{
  sources = ["source.null.there"]
  provisioner "shell" {{
    script = "{build}"
  }}
""", block(DROPLET), "}\n"]))
    return [str(folder)]


# -- Droplets, through the API -------------------------------------------------------------------


def test_of_several_images_those_that_pass_are_snapshotted(
    site, cloud, single, build, make_el
):
    """The template in HCL. The second image fails by a password that only people can judge."""
    hosts = {"debian-12-x64": site.host("bookworm"), "ubuntu-24-04-x64": site.host("trixie"),
             "rockylinux-9-x64": site.up(make_el("rocky-9"))}
    for host in hosts.values():
        (host.box.tree / "root/.ssh/authorized_keys").unlink()
    cloud.open(hosts)
    done = packer(site, "build", "-color=false",
                  *variables(img_tools=single, build_script=build), copied(site, DROPLET),
                  **ENDPOINT)
    assert done.returncode == 1, done.stdout
    assert "img-tools: FAIL: do not publish" in done.stdout
    assert TOKEN not in done.stdout
    calls = cloud.close()
    assert snapshots(calls) == {"debian-12-x64", "rockylinux-9-x64"}, done.stdout
    assert {path for method, path, *_ in calls if method == "DELETE"} >= {
        f"/v2/{what}/{number}" for what in ("droplets", "account/keys") for number in (1, 2, 3)}
    assert {status for *_, status, _ in calls} <= {200, 201, 202, 204}
    manifest = json.loads((site.home / "manifest.json").read_text())
    assert {one["artifact_id"] for one in manifest["builds"]} == {"nyc3:100", "nyc3:300"}

    assert verdicts(site) == {"debian-12": ("pass", []), "ubuntu-24-04": ("fail", ["passwords"]),
                              "rockylinux-9": ("pass", [])}
    for image in ("debian-12-x64", "rockylinux-9-x64"):
        passed = hosts[image].box
        passed.wait_off()
        assert secrets_of(passed, [CANARY.encode(), b"img-clean"]) == []
        assert residues(running.check(passed.tree, "--no-refresh").report) == []


def snapshots(calls: list[Call]) -> set[str]:
    """The images of the Droplets of which a snapshot was taken."""
    images = [sent["image"] for _, path, _, sent in calls if path == "/v2/droplets"]
    order = ["debian-12-x64", "ubuntu-24-04-x64", "rockylinux-9-x64"]
    numbers = [int(path.split("/")[3]) for _, path, _, sent in calls
               if path.endswith("/actions") and sent.get("type") == "snapshot"]
    found = {order[number - 1] for number in numbers}
    assert found <= {*images}
    return found


def verdicts(site: Site) -> dict[str, tuple[str, list[str]]]:
    """What the reports that Packer downloaded say: verdict and failed checks."""
    found = {}
    for path in site.home.glob("report-*.json"):
        check = json.loads(path.read_text())["check"]
        found[path.stem.removeprefix("report-")] = (
            json.loads(path.read_text())["verdict"],
            [one["id"] for one in check["checks"] if one["status"] == "fail"])
    return found


def test_the_legacy_template(site, cloud, deb, build):
    """The template in JSON, with the package and a policy file, on Debian 12."""
    host = site.host("bookworm")
    with build.open("a") as script:
        script.write("mkdir /etc/img-tools\necho 'disabled = [\"disk-size\"]' "
                     ">/etc/img-tools/policy.toml\n")
    cloud.open({"debian-12-x64": host})
    done = packer(site, "build", "-color=false", "-only=debian-12", *variables(
        img_tools=deb, img_tools_sha256=sha256(deb), build_script=build), copied(site, LEGACY),
        **ENDPOINT)
    assert done.returncode == 0, done.stdout
    assert TOKEN not in done.stdout
    assert snapshots(cloud.close()) == {"debian-12-x64"}
    assert verdicts(site) == {"debian-12": ("pass", [])}
    report = json.loads((site.home / "report-debian-12.json").read_text())
    assert report["check"]["run"]["left_out"] == ["disk-size"]
    assert secrets_of(host.box, [CANARY.encode(), b"img-tools"]) == []
