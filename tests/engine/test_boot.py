import pytest

from img_tools.boot import Boot, Kernel, version_key
from tests.support import Link

GRUB = """
menuentry 'Debian GNU/Linux' --class debian {
\tlinux\t/boot/vmlinuz-6.1.0-20-amd64 root=UUID=1 ro quiet
}
submenu 'Advanced options' {
  menuentry 'Debian, with Linux 6.1.0-20-amd64 (recovery mode)' {
\tlinux\t/boot/vmlinuz-6.1.0-20-amd64 root=UUID=1 ro single
  }
}
"""


def words(host):
    return [" ".join(found.words) for found in host.boot.command_lines]


def test_recovery_entries_do_not_count(image):
    host = image({
        "/boot/grub/grub.cfg": GRUB,
        "/boot/loader/entries/a-0-rescue.conf": "options single",
        "/boot/loader/entries/a-5.14.conf": "title x\noptions root=/dev/vda1 rhgb\n",
        "/boot/grub2/grubenv": "# GRUB Environment Block\nkernelopts=root=/dev/vda1 ro\n",
        "/etc/kernel/cmdline": "root=/dev/vda1 quiet\n",
    })
    assert words(host) == ["root=UUID=1 ro quiet", "root=/dev/vda1 rhgb", "root=/dev/vda1 ro",
                           "root=/dev/vda1 quiet"]


def test_drop_ins_replace_or_add(image):
    host = image({
        "/etc/default/grub": '#GRUB_CMDLINE_LINUX="single"\nGRUB_CMDLINE_LINUX="a b"\n'
                             "GRUB_CMDLINE_LINUX_DEFAULT='c'\n"
                             'GRUB_CMDLINE_LINUX_RECOVERY="single"\n',
        "/etc/default/grub.d/50-x.cfg": 'GRUB_CMDLINE_LINUX="d"\n',
        "/etc/default/grub.d/60-y.cfg":
            'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT e"\n',
        "/etc/default/grub.d/README": 'GRUB_CMDLINE_LINUX="single"\n',
    })
    assert words(host) == ["d", "c", "$GRUB_CMDLINE_LINUX_DEFAULT e"]


def test_the_command_line_of_the_machine_we_run_on_is_not_the_image_s(image):
    assert words(image({"/proc/cmdline": "single"})) == []


def test_kernels_are_ordered_by_number_and_need_an_initrd_with_content(image):
    host = image({
        "/boot/vmlinuz-6.1.0-9-amd64": "k", "/boot/initrd.img-6.1.0-9-amd64": "i",
        "/boot/vmlinuz-6.1.0-20-amd64": "k", "/boot/initrd.img-6.1.0-20-amd64": "",
        "/boot/vmlinuz-5.14.0-1.el9.x86_64": "k", "/boot/initramfs-5.14.0-1.el9.x86_64.img": "i",
        "/boot/vmlinuz-0-rescue-abc": "k", "/boot/vmlinuz": Link("vmlinuz-6.1.0-20-amd64"),
    })
    assert host.boot.kernels == (
        Kernel("5.14.0-1.el9.x86_64", "/boot/vmlinuz-5.14.0-1.el9.x86_64",
               "/boot/initramfs-5.14.0-1.el9.x86_64.img"),
        Kernel("6.1.0-9-amd64", "/boot/vmlinuz-6.1.0-9-amd64", "/boot/initrd.img-6.1.0-9-amd64"),
        Kernel("6.1.0-20-amd64", "/boot/vmlinuz-6.1.0-20-amd64", None),
    )


@pytest.mark.parametrize(("older", "newer"), [
    ("5.14.0-427.el9.x86_64", "5.14.0-427.13.1.el9_4.x86_64"),
    ("6.1.0-9-amd64", "6.1.0-10-amd64"),
    ("6.8.0-31-generic", "6.11.0-1-generic"),
    ("6.1", "6.1.1"),
])
def test_version_order(older, newer):
    assert version_key(older) < version_key(newer)


def test_odd_digits_do_not_break_the_order():
    assert version_key("6.²-٣")


def test_fstab(image):
    host = image({"/etc/fstab": "# c\n\nUUID=\"a b\" /mnt/x\\040y ext4 ro,nofail 0 2\nbad\n"})
    first, second = host.boot.fstab
    assert (first.spec, second.spec) == ("UUID=a", "bad")
    assert (second.target, second.fstype, second.line) == ("", "", 4)
    host = image({"/etc/fstab": "LABEL=a\\040b /mnt/x\\040y ext4 ro,nofail 0 2\n"})
    (found,) = Boot(host.root).fstab
    assert (found.spec, found.target) == ("LABEL=a b", "/mnt/x y")
    assert found.options == {"ro", "nofail"}
