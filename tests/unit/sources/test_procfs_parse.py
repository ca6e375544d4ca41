"""The files of /proc are read as proc(5) describes them, their quirks included."""

from __future__ import annotations

import pytest

from healthagent.sources.procfs import parse

TAIL = b"S 1 7 7 0 -1 4194560 1001 0 1 0 12 30 0 0 20 0 1 0 166151 2560000 332"


def test_stat_tells_state_parent_cpu_and_start() -> None:
    told = parse.stat(b"16469 (sleep) " + TAIL)
    assert (told.comm, told.state, told.ppid) == ("sleep", "S", 1)
    assert (told.ticks, told.started) == (42, 166151), "ticks are utime + stime, start is field 22"


@pytest.mark.parametrize("comm", ["PM2 v5.3: God", "a) S 99 (b", "(sd-pam)", ")"])
def test_a_name_with_spaces_and_parentheses_does_not_shift_the_fields(comm: str) -> None:
    told = parse.stat(f"1 ({comm}) ".encode() + TAIL)
    assert (told.comm, told.state, told.ppid) == (comm, "S", 1)


@pytest.mark.parametrize("text", [b"", b"1 (sh)", b"1 (sh) S 1"])
def test_a_stat_cut_short_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse.stat(text)


@pytest.mark.parametrize(
    ("caught", "expected"),
    [
        pytest.param("0000000000004000", True, id="SIGTERM alone"),
        pytest.param("0000000180014a07", True, id="SIGTERM among others"),
        pytest.param("0000000000002000", False, id="SIGALRM, the bit below"),
        pytest.param("0000000000008000", False, id="SIGSTKFLT, the bit above"),
        pytest.param("0000000000000000", False, id="nothing"),
    ],
)
def test_a_sigterm_handler_is_bit_14_of_sigcgt(caught: str, expected: bool) -> None:
    text = f"Name:\tbun\nNSpid:\t4711\t1\nSigIgn:\t{'f' * 16}\nSigCgt:\t{caught}\n".encode()
    assert parse.status(text).catches_sigterm is expected


def test_the_last_nspid_counts_in_the_innermost_namespace() -> None:
    text = b"NSpid:\t4711\t12\t1\nSigCgt:\t0\n"
    assert parse.status(text).ns_pid == 1


def test_a_status_without_the_fields_says_that_they_are_not_known() -> None:
    assert parse.status(b"Name:\tkthreadd\n") == parse.Status(None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b"bun\0run\0start\0", ("bun", "run", "start"), id="plain"),
        pytest.param(b"sh\0-c\0\0x\0", ("sh", "-c", "", "x"), id="empty argument"),
        pytest.param(b"PM2 v5: God Daemon\0\0\0\0", ("PM2 v5: God Daemon",), id="retitled"),
        pytest.param(b"", (), id="zombie"),
        pytest.param(b"\xff\0", ("\ufffd",), id="no UTF-8"),
    ],
)
def test_arguments_are_split_at_nuls(text: bytes, expected: tuple[str, ...]) -> None:
    assert parse.cmdline(text) == expected


HEADING = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"
IPV4 = b"   0: 00000000:0BB8 00000000:0000 0A 00000000:00000003 00:00000000 00000000 0 0 77 1 ff"
IPV6 = (
    b"   0: 00000000000000000000000000000000:0BB8 00000000000000000000000000000000:0000 0A "
    b"00000000:00000011 00:00000000 00000000 0 0 78 1 ff"
)
ESTABLISHED = b"   1: 0100007F:0BB8 0100007F:D431 01 00000000:0000FFFF 00:00000000 00000000 0 0 79"


def test_connections_that_wait_are_counted_by_listening_port_in_hex() -> None:
    assert parse.accept_queues([HEADING, IPV4]) == {3000: 3}


def test_sockets_on_one_port_add_up_over_ipv4_and_ipv6() -> None:
    assert parse.accept_queues([HEADING, IPV4, HEADING, IPV6]) == {3000: 3 + 0x11}


def test_bytes_that_wait_in_a_connection_are_no_connections_that_wait() -> None:
    assert parse.accept_queues([HEADING, ESTABLISHED]) == {}


def test_a_row_cut_short_does_not_count() -> None:
    assert parse.accept_queues([HEADING, IPV4[:30]]) == {}


def test_who_listens_is_told_by_address_and_port() -> None:
    mapped = IPV6.replace(b"0" * 32 + b":0BB8", b"0000000000000000FFFF00000100007F:0BB9")
    local = IPV4.replace(b"00000000:0BB8", b"0B00007F:9C41")
    rows = [HEADING, IPV4, IPV6, mapped, local, ESTABLISHED, IPV4[:30]]
    assert parse.listeners(rows) == {
        ("0.0.0.0", 3000),
        ("::", 3000),
        ("127.0.0.1", 3001),
        ("127.0.0.11", 40001),
    }


def test_what_a_thread_wanted_is_what_it_ran_and_what_it_waited_for_its_turn() -> None:
    assert parse.wanted(b"267573591 18583116 443\n") == pytest.approx(0.286156707)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"Max open files            1024                 524288               files     \n", 1024),
        (b"Max open files            unlimited            unlimited            files     \n", None),
        (b"", None),
    ],
    ids=["soft", "none", "absent"],
)
def test_a_limit_of_open_files_is_the_soft_one(line: bytes, expected: int | None) -> None:
    head = b"Limit                     Soft Limit           Hard Limit           Units     \n"
    assert parse.most_files(head + line) == expected


def row(*, local: str = "0BB8", state: str = "01", unread: str = "00000010", inode: int) -> bytes:
    ends = f"0100007F:{local} 0100007F:D431"
    return f"   1: {ends} {state} 00000000:{unread} 00:00000000 00000000 0 0 {inode}".encode()


def test_bytes_that_wait_to_be_read_are_told_by_inode() -> None:
    half_closed = row(state="08", unread="00000000", inode=80)
    assert parse.unread([HEADING, IPV4, row(inode=79), half_closed], 3000) == {79: 16, 80: 0}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(row(inode=0), id="waits to be accepted"),
        pytest.param(row(local="D431", inode=79), id="a connection that the app made"),
        pytest.param(row(state="06", inode=79), id="has ended"),
        pytest.param(row(inode=79)[:60], id="cut short"),
    ],
)
def test_what_the_app_did_not_take_at_its_port_is_left_out(other: bytes) -> None:
    assert parse.unread([HEADING, other], 3000) == {}
