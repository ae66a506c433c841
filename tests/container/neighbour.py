"""A neighbour of a machine, in a network that the two have for themselves: it sees what all see."""

from __future__ import annotations

from tests.container.machine import Machine

OUTSIDE, INSIDE = "192.0.2.2", "192.0.2.1"

# The port that may be closed is asked first, and not waited for: a firewall that drops packets
# never answers. When the other one has answered, so would that have.
_PROBE = """
import select, socket, sys
host, port, other = sys.argv[1], *map(int, sys.argv[2:])
asked = socket.socket()
asked.setblocking(False)
asked.connect_ex((host, other))
def connected(it):
    try:
        return bool(it().getpeername())
    except OSError:
        return False
print(connected(lambda: socket.create_connection((host, port), 10)))
select.select([], [asked], [], 0.2)
print(connected(lambda: asked))
"""


def connect(box: Machine) -> None:
    """Give BOX, just booted, a network card and the neighbour at its other end."""
    box.run("sh", "-euc", "ip netns add outside; ip link add card type veth peer name other netns "
            f"outside; ip address add {INSIDE}/24 dev card; ip link set card up; "
            f"ip -n outside address add {OUTSIDE}/24 dev other; ip -n outside link set other up")


def reaches(box: Machine, port: int, other: int) -> tuple[bool, bool]:
    """Whether the neighbour of BOX gets a connection to PORT, and whether one to OTHER."""
    first, second = box.run("ip", "netns", "exec", "outside", "python3", "-c", _PROBE, INSIDE,
                            str(port), str(other)).split()
    return first == "True", second == "True"
