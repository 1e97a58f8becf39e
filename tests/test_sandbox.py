"""The sandbox: what it lets through, what it keeps in, what it leaves behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratchet.cli.main import cli
from ratchet.core.errors import SandboxError
from ratchet.verify.sandbox import cgroups, sandbox
from ratchet.verify.sandbox.attacks import Attack, Bait, attack, attacks
from ratchet.verify.sandbox.languages import Compiler, by_ending, language, names
from ratchet.verify.sandbox.probing import protections
from ratchet.verify.sandbox.runs import Limits, Run
from ratchet.verify.sandbox.sandbox import Program, Sandbox
from ratchet.verify.sandbox.warden import descendants

SHORT = Limits(seconds=1.0, memory=128, output=10_000)
ATTACKS = {a.name: a for a in attacks()}
SLOW = {
    "zip_bomb",
    "memory_of_many",
    "fork_bomb",
    "fork_bomb_c",
    "stop_itself",
    "names",
    "network_out",
    "deep_recursion",
    "disk_bomb",
}
ON_THE_MACHINE = ("loopback", "local_sockets", "datagram", "environment", "read_secrets")  # without the sandbox, and harmless


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    try:
        made = Sandbox()
    except SandboxError as e:
        pytest.skip(f"no sandbox on this machine: {e}")
    with made:
        yield made


def python(source: str, limits: Limits = SHORT) -> Program:
    return Program({"main.py": source.encode()}, limits=limits)


# ---- runs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [(), ("python3", "main.py")], ids=["warm", "started"])
def test_a_program_gets_its_input_and_gives_its_output_and_exit_code(box: Sandbox, command: tuple[str, ...]) -> None:
    source = b"import sys\nprint(input()[::-1], file=sys.stderr)\nprint(sys.stdin.read().upper(), end='')\nsys.exit(7)"
    run = box.run(Program({"main.py": source}, command, SHORT), "ab\nä€\n".encode())
    assert (run.exit, run.why, run.stdout.decode(), run.stderr.decode()) == (7, "", "Ä€\n", "ba\n")


@pytest.mark.parametrize(
    ("source", "why", "exit_code"),
    [
        ("while True: pass", "time", None),
        ("import time; time.sleep(60)", "time", None),
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", "memory", None),
        ("while True: print('x' * 1000)", "output", None),
        ("1 / 0", "", 1),
        ("import os; os.abort()", "", -signal.SIGSEGV),
        ("import sys; sys.exit('no')", "", 1),
        ("def f(", "", 1),
    ],
)
def test_how_a_program_ends_is_told(box: Sandbox, source: str, why: str, exit_code: int | None) -> None:
    run = box.run(python(source))
    assert run.why == why or (why == "memory" and b"MemoryError" in run.stderr)  # without a control group Python notices itself
    assert not run.ok and len(run.stdout) <= SHORT.output
    assert exit_code is None or run.exit in (exit_code, -signal.SIGABRT if exit_code < 0 else exit_code)


def test_a_file_is_brought_back_and_a_link_is_not(box: Sandbox) -> None:
    whole = bytes(range(256)) * 100
    made = box.run(Program({"m.py": b"open('out', 'wb').write(bytes(range(256)) * 100)"}, ("python3", "m.py"), keep="out"))
    link = box.run(Program({"m.py": b"import os; os.symlink('/etc/passwd', 'out')"}, ("python3", "m.py"), keep="out"))
    assert made.kept == whole and link.kept is None and link.ok


def test_nothing_of_a_run_is_found_in_the_next(box: Sandbox) -> None:
    token = "tru" + "stno" + "body"
    search = f"""
import gc, os
open('left', 'a').close()
print(len(os.listdir('.')))
token = {token[::-1]!r}[::-1].encode()
found = 0
for line in open('/proc/self/maps'):
    ends, rights = line.split()[:2]
    if 'r' in rights and '[v' not in line:
        start, end = (int(x, 16) for x in ends.split('-'))
        with open('/proc/self/mem', 'rb') as f:
            f.seek(start)
            found += f.read(end - start).count(token)
print(found)
"""
    own = box.run(python(f"x = {token!r}\nopen('left', 'w')\nprint(x)\n" + search))
    other = box.run(python(search))
    assert int(own.stdout.split()[2]) > 0  # the search finds what is there
    # once: the needle that it searches with; no file, and no copy of what the last run held
    assert other.stdout.split()[0] == b"2" and int(other.stdout.split()[1]) <= 2


def test_two_programs_talk_and_the_examiner_has_the_last_word(box: Sandbox) -> None:
    echo = python("while True: print(input().upper(), flush=True)")
    asks = python("import sys\nprint('hello', flush=True)\nsys.exit(0 if input() == 'HELLO' else 3)")
    if box.walls != "direct":
        pytest.skip("needs namespaces of our own")
    candidate, examiner = box.examine(echo, asks)
    assert examiner.ok and not candidate.why
    _, deaf = box.examine(python("pass"), asks)
    assert deaf.exit == 1 and (b"EOF" in deaf.stderr or b"BrokenPipe" in deaf.stderr)  # by which of the two it spoke to first


def test_many_runs_at_once_keep_their_order() -> None:
    try:
        with Sandbox(2) as two:
            runs = two.map([(python(f"print({i} * 2)"), b"") for i in range(12)])
    except SandboxError as e:
        pytest.skip(f"no sandbox on this machine: {e}")
    assert [int(r.stdout) for r in runs] == [2 * i for i in range(12)]


# ---- what is kept in -----------------------------------------------------------------------------------------------


def test_the_protections_are_on(box: Sandbox) -> None:
    states = {what: state for state, what, _ in protections(box)}
    assert "MISSING" not in states.values()
    assert states["read-only system"] == states["capabilities"] == states["no new privileges"] == "ok"


@pytest.mark.parametrize("name", sorted(set(ATTACKS) - SLOW))
def test_an_attack_is_contained(box: Sandbox, name: str) -> None:
    one = ATTACKS[name]
    if language(one.language).missing() or (one.judged and box.walls != "direct"):
        pytest.skip("it cannot be tried here")
    with Bait() as bait:
        signs, _ = attack(one, Compiler(box), bait)
    assert signs == []


@pytest.mark.parametrize("name", ON_THE_MACHINE)
def test_without_the_sandbox_the_same_attack_is_seen_to_escape(name: str) -> None:
    with Bait() as bait:
        done = subprocess.run(
            [sys.executable, "-c", ATTACKS[name].source], input=bait.targets(), capture_output=True, timeout=30, check=False
        )
        time.sleep(0.1)  # the servers note it in threads of their own
        signs = list(bait.traces(Run(done.returncode, "", done.stdout, done.stderr, 0.0)))
    assert signs


def test_there_are_at_least_thirty_attacks_in_python_and_c_and_each_says_what_it_tries() -> None:
    kinds = [a.language for a in ATTACKS.values() if not a.judged]
    assert len(kinds) >= 30 and kinds.count("c") >= 10
    assert all(len(a.summary) > 10 for a in ATTACKS.values())


def test_an_attack_that_cannot_be_compiled_was_not_contained(box: Sandbox) -> None:
    if language("c").missing():
        pytest.skip("no C compiler")
    with Bait() as bait:
        signs, _ = attack(Attack("broken", "int main(void) { return", "c", False), Compiler(box), bait)
    assert "does not compile" in signs[0]


# ---- refusing ------------------------------------------------------------------------------------------------------


def test_without_walls_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "START", "import sys; sys.exit(1)")
    with pytest.raises(SandboxError, match=r"cannot be run safely here .*direct: .*bwrap: .*ratchet sandbox doctor"):
        Sandbox()


def test_weaker_walls_and_unknown_protections_have_to_be_named() -> None:
    with pytest.raises(SandboxError, match="weaker"):
        Sandbox(walls="landlock")
    with pytest.raises(SandboxError, match="no protection named fairy"):
        Sandbox(without=("fairy",))


def test_a_protection_that_fails_for_a_run_stops_it(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken on purpose: the wardens of this sandbox have no Landlock to call."""
    monkeypatch.setattr(
        sandbox, "START", sandbox.START.replace("main()", "import sandbox.kernel as k; k.landlock_version = lambda: 0; main()")
    )
    with Sandbox(walls=box.walls) as lame, pytest.raises(SandboxError, match="landlock"):
        lame.run(python("print(1)"))
    with Sandbox(walls=box.walls, without=("landlock",)) as known:
        assert known.run(python("print(1)")).ok


# ---- what is left behind -------------------------------------------------------------------------------------------


def left(box: Sandbox) -> tuple[int, int, int]:
    gc.collect()
    with box.warden() as warden:
        processes = len(list(descendants(warden.process.pid)))
    return processes, len(os.listdir("/proc/self/fd")), len(list(Path("/tmp").glob("ratchet-*")))


def test_runs_that_are_ended_leave_no_process_file_or_descriptor(box: Sandbox) -> None:
    late = Limits(seconds=0.02)
    source = "import os\nfor _ in range(3):\n    os.fork()\nos.setsid() if os.getpid() > 1 else 0\nwhile True: pass"
    box.run(python("pass"))
    before = left(box)
    assert all(box.run(python(source, late)).why == "time" for _ in range(25))
    assert left(box) == before


def test_walls_of_landlock_alone_take_their_folders_away() -> None:
    try:
        with Sandbox(walls="landlock", without=("namespaces",)) as weak:
            before = set(Path("/tmp").glob("ratchet-*"))
            run = weak.run(Program({"m.sh": b"touch here; pwd"}, ("sh", "m.sh"), SHORT))
            assert run.ok and run.stdout.startswith(b"/tmp/ratchet-")
            assert set(Path("/tmp").glob("ratchet-*")) == before
    except SandboxError as e:
        pytest.skip(f"no Landlock on this machine: {e}")


def test_when_the_supervisor_is_killed_the_program_ends(tmp_path: Path) -> None:
    mark = f"mark{os.getpid()}"
    script = tmp_path / "supervise.py"
    script.write_text(
        "from ratchet.verify.sandbox.sandbox import *\n"
        "from ratchet.verify.sandbox.runs import Limits\n"
        f"p = Program({{'m.py': b'import time; time.sleep(300)'}}, ('python3', 'm.py', {mark!r}), Limits(seconds=100))\n"
        "with Sandbox() as s:\n    print('begun', flush=True)\n    s.run(p)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert process.stdout is not None
    if not process.stdout.readline():
        pytest.skip("no sandbox on this machine")
    found = wait_for(lambda: running(mark))
    process.kill()
    process.wait()
    process.stdout.close()
    assert found and wait_for(lambda: not running(mark))


def running(mark: str) -> bool:
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and b"m.py\0" + mark.encode() in (folder / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


def wait_for(holds: object, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if callable(holds) and holds():
            return True
        time.sleep(0.05)
    return False


# ---- control groups, whichever there are ---------------------------------------------------------------------------


def test_a_group_of_version_2_is_bounded_and_read(tmp_path: Path) -> None:
    """On a folder that looks like one: this machine may have version 1."""
    group = cgroups.Group({"": tmp_path}, "g")
    group.bound(100, 20)
    folder = tmp_path / "g"
    assert (
        int((folder / "memory.max").read_text()) == (100 + cgroups.OVERHEAD) << 20 and (folder / "pids.max").read_text() == "28"
    )
    (folder / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert group.killed() == 2


# ---- languages -----------------------------------------------------------------------------------------------------

DOUBLE = {
    "python": "print(int(input()) * 2)",
    "c": '#include <stdio.h>\nint main(void) { int n; scanf("%d", &n); printf("%d\\n", 2 * n); }',
    "cpp": "#include <iostream>\nint main() { int n; std::cin >> n; std::cout << 2 * n << std::endl; }",
    "javascript": "console.log(2 * parseInt(require('fs').readFileSync('/dev/stdin', 'utf8')))",
    "lua": 'print(2 * io.read("n"))',
    "ocaml": 'let () = Printf.printf "%d\\n" (2 * read_int ())',
    "fortran": "program p\ninteger :: n\nread(*,*) n\nwrite(*,'(i0)') 2*n\nend program",
    "r": 'n <- as.integer(readLines(file("stdin"), n=1)); cat(2L*n, "\\n", sep="")',
    "ruby": "puts gets.to_i * 2",
    "perl": 'print <STDIN> * 2, "\\n";',
    "verilog": 'module m; integer n, r; initial begin r = $fscanf(32\'h80000000, "%d", n); $display("%0d", 2*n); $finish; end endmodule',
    "bash": "read n; echo $((2 * n))",
    "sql": "select 2 * n from t;",
}


def test_every_language_has_an_example_here_and_a_short_file() -> None:
    assert set(names()) == set(DOUBLE)
    assert all(len((sandbox.FOLDER / "languages" / f"{n}.yaml").read_text().splitlines()) <= 12 for n in names())


@pytest.mark.parametrize("name", sorted(DOUBLE))
def test_a_language_runs_a_program(box: Sandbox, name: str) -> None:
    spoken = language(name)
    if spoken.missing():
        pytest.skip(f"{spoken.package} is not installed")
    compiler = Compiler(box)
    program = compiler(spoken, DOUBLE[name])
    assert isinstance(program, Program), program
    run = box.run(program, b"create table t(n); insert into t values (21);" if name == "sql" else b"21\n")
    assert run.stdout.strip() == b"42", run
    broken = compiler(spoken, "}{ this is no program (")
    assert isinstance(broken, Run) or not box.run(broken).ok
    assert not spoken.compile or compiler(spoken, DOUBLE[name]).files is program.files  # type: ignore[union-attr]


def test_a_new_language_is_a_new_file(box: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "awk.yaml"
    file.write_text("name: awk\nfile: program.awk\nrun: [awk, -f, program.awk]\npackage: mawk\n")
    spoken = language(str(file))
    if spoken.missing():
        pytest.skip("no awk")
    program = Compiler(box)(spoken, "{ print 2 * $1 }")
    assert isinstance(program, Program) and box.run(program, b"21\n").stdout == b"42\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nfile: y\n", "run is missing"),
        ("name: x\nfile: y\nrun: lua", "run takes a list of texts"),
        ("name: x\nfile: ../y\nrun: [lua]", "without folders"),
        ("name: x\nfile: y\nrun: [lua]\nlimits: {memory: -1}", "limits.memory"),
        ("name: x\nfile: y\nrun: [lua]\ncompile: [cc]", "go together"),
        ("name: x\nfile: y\nruns: [lua]", 'no setting "runs"; did you mean "run"'),
        ("- a\n- b\n", "a list of settings"),
        ("name: [", "is not YAML"),
    ],
)
def test_a_wrong_language_file_is_told_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(SandboxError) as e:
        language(str(file))
    assert said in str(e.value) and "\n" not in str(e.value)


def test_a_missing_language_and_an_unknown_one_are_told(box: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("name: x\nfile: y\nrun: [no-such-program]\npackage: nothing\n")
    with pytest.raises(SandboxError, match="no-such-program, which is not installed; apt-get install nothing"):
        Compiler(box)(language(str(file)), "x")
    with pytest.raises(SandboxError, match='no language named "luaa"; did you mean "lua"'):
        language("luaa")
    with pytest.raises(SandboxError, match=r"no language has files that end in .\.xyz."):
        by_ending(Path("a.xyz"))


# ---- the command ---------------------------------------------------------------------------------------------------


def test_the_command_runs_a_program_and_passes_its_exit_code_on(box: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("import sys\nprint(input())\nsys.exit(5)")
    done = CliRunner().invoke(cli, ["sandbox", "run", str(file)], input="hello\n")
    assert done.exit_code == 5 and "hello" in done.output
    file.write_text("while True: pass")
    late = CliRunner().invoke(cli, ["sandbox", "run", str(file), "--seconds", "0.1"])
    assert late.exit_code == 124 and "longer than its time" in late.output


def test_the_command_attacks_and_says_how_it_went(box: Sandbox) -> None:
    done = CliRunner().invoke(cli, ["sandbox", "attack", "--only", "loopback", "--only", "read_secrets"])
    assert done.exit_code == 0 and "2 contained, 0 escaped" in done.output
    wrong = CliRunner().invoke(cli, ["sandbox", "attack", "--only", "loopbak"])
    assert wrong.exit_code == 2 and 'did you mean "loopback"' in wrong.output


def test_a_path_below_the_room_is_shown_again_to_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "mine.py").write_text("VALUE = 7")
    (folder / "data").write_text("eight")
    source = f"import mine\nprint(mine.VALUE, open({str(folder / 'data')!r}).read())\nopen({str(folder / 'new')!r}, 'w')"
    try:
        with Sandbox(python_path=[str(folder)]) as own:
            run = own.run(python(source))
            if own.walls == "direct":
                assert run.stdout == b"7 eight\n" and b"Read-only file system" in run.stderr and not (folder / "new").exists()
    except SandboxError as e:
        pytest.skip(f"no sandbox on this machine: {e}")


def test_a_module_that_does_not_load_is_named(tmp_path: Path, box: Sandbox) -> None:
    tmp_path.chmod(0o755)  # root gives itself up before it reads
    (tmp_path / "bad.py").write_text("raise AttributeError('broken inside')")
    with pytest.raises(SandboxError, match="cannot get ready: AttributeError: broken inside"):
        Sandbox(python_path=[str(tmp_path)], modules=["bad"], walls=box.walls)
