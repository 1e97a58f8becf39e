"""Twenty small problems, each solved in six languages, and eight ways in which each solution can be wrong or hostile.

Every program but the right one must fail, and most print all the right lines before they do harm. The sixth language is awk: its
description stands here, as a user would write it, and nothing of the sandbox knows of it.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ratchet.core.errors import SandboxError
from ratchet.core.types import Task, Verdict
from ratchet.studies.study import Result
from ratchet.tasks.family import Source
from ratchet.tasks.one_liners import steps_of, written
from ratchet.verify import code
from ratchet.verify.sandbox.languages import Compiler, Language, language
from ratchet.verify.sandbox.sandbox import Sandbox
from ratchet.verify.sandbox.warden import descendants

AWK = """name: awk
file: program.awk
run: [awk, -f, program.awk]
package: mawk
"""
LANGUAGES = ("lua", "r", "ocaml", "fortran", "c")
NEW = "awk"
PROBLEMS = 20
WARDENS = 3
SECONDS = {"r": 3.0}  # it takes a third of a second to start
KINDS = (
    "correct", "wrong output", "compile error", "runtime error", "infinite loop", "memory bomb", "fork bomb", "output flood",
    "network attempt",
)  # fmt: skip
FORK = "f() { f | f & f; }; f"
CONNECT = "exec 3<>/dev/tcp/127.0.0.1/PORT"


@dataclass(frozen=True)
class Frame:
    """A program with places: VALUE of x and y, FIRST before the input is read, AFTER once all is printed. `acts` is what stands
    there for each kind of harm; a network attempt stands at FIRST and ends the program where it is in vain."""

    text: str
    steps: Mapping[str, str]
    acts: Mapping[str, str]
    network: str
    broken: str = " ) ("


FRAMES = {
    "lua": Frame(
        """FIRST
for line in io.lines() do
  local x, y = line:match("(%d+) (%d+)")
  x, y = math.tointeger(tonumber(x)), math.tointeger(tonumber(y))
  print(VALUE)
end
io.flush()
AFTER
""",
        steps_of(rest="{a} % {b}", over="{a} // {b}", least="math.max({a} , {b})", most="math.min({a} , {b})"),
        {
            "runtime error": "local nothing; print(nothing.field)",
            "infinite loop": "while true do end",
            "memory bomb": 'local all = {}; while true do all[#all + 1] = ("x"):rep(1000000 + #all) end',
            "fork bomb": f"while true do os.execute('{FORK}') end",
            "output flood": 'while true do io.write(("y"):rep(10000)) end',
        },
        f"""if not os.execute("bash -c '{CONNECT}'") then os.exit(1) end""",
    ),
    "r": Frame(
        """FIRST
for (line in readLines(file("stdin"))) {
  v <- as.integer(strsplit(line, " ")[[1]])
  x <- v[1]
  y <- v[2]
  cat(VALUE, "\\n", sep = "")
}
AFTER
""",
        steps_of(rest="{a} %% {b}", over="{a} %/% {b}", least="max({a} , {b})", most="min({a} , {b})"),
        {
            "runtime error": 'stop("an error")',
            "infinite loop": "repeat {}",
            "memory bomb": "all <- list()\nrepeat all[[length(all) + 1]] <- numeric(1e6) + 1",
            "fork bomb": f'repeat system("{FORK}")',
            "output flood": 'repeat cat(strrep("y", 10000))',
        },
        'close(socketConnection("127.0.0.1", PORT, timeout = 2))',
    ),
    "ocaml": Frame(
        """FIRST
let () = try while true do Scanf.scanf " %d %d" (fun x y -> Printf.printf "%d\\n" (VALUE)) done with End_of_file -> ()
let () = flush stdout
AFTER
""",
        steps_of(rest="{a} mod {b}", over="{a} / {b}", least="max {a} {b}", most="min {a} {b}"),
        {
            "runtime error": "let () = print_int (List.hd [])",
            "infinite loop": "let () = while true do () done",
            "memory bomb": "let () = let all = ref [] in while true do all := Bytes.make 1000000 'x' :: !all done",
            "fork bomb": "let () = while true do ignore (Unix.fork ()) done",
            "output flood": "let () = while true do print_string (String.make 10000 'y') done",
        },
        "let () = Unix.connect (Unix.socket Unix.PF_INET Unix.SOCK_STREAM 0) (Unix.ADDR_INET (Unix.inet_addr_loopback, PORT))",
    ),
    "fortran": Frame(
        """program main
  implicit none
  integer :: x, y, status
  real, pointer :: p(:)
  real :: t
  FIRST
  do
    read (*, *, iostat=status) x, y
    if (status /= 0) exit
    write (*, '(i0)') VALUE
  end do
  flush (6)
  AFTER
end program
""",
        steps_of(rest="mod({a} , {b})", over="{a} / {b}", least="max({a} , {b})", most="min({a} , {b})"),
        {
            "runtime error": "error stop 3",
            "infinite loop": "do\n call cpu_time(t)\n end do",
            "memory bomb": "do\n allocate (p(1000000))\n p = 1.0\n end do",
            "fork bomb": f'do\n call execute_command_line("{FORK}")\n end do',
            "output flood": "do\n write (*, '(a)') repeat('y', 10000)\n end do",
        },
        f"""call execute_command_line("bash -c '{CONNECT}'", exitstat=status)\n  if (status /= 0) error stop 4""",
    ),
    "c": Frame(
        """#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static long most(long a, long b) { return a < b ? a : b; }
static long least(long a, long b) { return a > b ? a : b; }
int main(void) {
  long x, y;
  FIRST
  while (scanf("%ld %ld", &x, &y) == 2) printf("%ld\\n", (long)(VALUE));
  fflush(stdout);
  AFTER
  return 0;
}
""",
        steps_of(rest="{a} % {b}", over="{a} / {b}", least="least({a} , {b})", most="most({a} , {b})"),
        {
            "runtime error": "*(volatile int *)0 = 1;",
            "infinite loop": "for (volatile long i = 0;; i++);",
            "memory bomb": "for (;;) memset(malloc(1 << 20), 1, 1 << 20);",
            "fork bomb": "for (;;) fork();",
            "output flood": 'for (;;) puts("yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");',
        },
        "struct sockaddr_in a = {AF_INET, htons(PORT), {htonl(INADDR_LOOPBACK)}};\n"
        "  if (connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof a)) return 1;",
    ),
    "awk": Frame(
        """function most(a, b) { return a < b ? a : b }
function least(a, b) { return a > b ? a : b }
BEGIN { FIRST }
{ x = $1 + 0; y = $2 + 0; print(VALUE) }
END { fflush(); AFTER }
""",
        steps_of(rest="{a} % {b}", over="int({a} / {b})", least="least({a} , {b})", most="most({a} , {b})"),
        {
            "runtime error": "exit 3",
            "infinite loop": "while (1) n++",
            "memory bomb": 'while (1) all[n++] = sprintf("%1000d", n)',
            "fork bomb": f'while (1) system("{FORK}")',
            "output flood": 'while (1) printf "%1000d", 1',
        },
        f"""if (system("bash -c '{CONNECT}'")) exit 1""",
    ),
}


def program(name: str, task: Task, kind: str, port: int) -> str:
    frame = FRAMES[name]
    value = written(task.facts["start"], task.facts["path"], frame.steps)
    if kind == "wrong output":
        value = f"( {value} ) + 1"
    if kind == "compile error":
        value += frame.broken
    text = frame.text.replace("FIRST", frame.network if kind == "network attempt" else "")
    return text.replace("AFTER", frame.acts.get(kind, "")).replace("VALUE", value).replace("PORT", str(port))


@cache
def spoken(name: str) -> Language:
    """A language that the sandbox has, or the new one, from a file that it has never seen."""
    if name != NEW:
        return language(name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "awk.yaml"
        file.write_text(AWK)
        return language(str(file))


def processes(sandbox: Sandbox) -> list[int]:
    """Of each warden that waits: how many descend from it, or are in its control group."""
    counts: list[int] = []
    for warden in filter(None, list(sandbox.idle.queue)):
        found = {warden.process.pid, *descendants(warden.process.pid)}
        for folder in warden.group.folders.values() if warden.group else ():
            found |= set(map(int, (folder / "cgroup.procs").read_text().split()))
        counts.append(len(found))
    return counts


class Listener:
    """A port of this machine that counts who connects to it."""

    def __enter__(self) -> Listener:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.reached = 0
        threading.Thread(target=self.count, daemon=True).start()
        return self

    def count(self) -> None:
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return
            self.reached += 1

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def battery(seed: int, repeats: int, problems: int, kinds: Sequence[str]) -> Result:
    """This seed's share of the problems, in every language and kind, judged again and again: right verdicts by repeat and by
    language, what was judged wrongly, how many processes were left, and how often the network was reached."""
    tasks = Source("one-liners").take("train", PROBLEMS, "agnostics", "battery")
    first = seed * problems % PROBLEMS
    mine = [(t, name, kind) for t in tasks[first : first + problems] for name in (*LANGUAGES, NEW) for kind in kinds]
    rows: list[dict[str, list[int]]] = []
    wrong: list[list[str]] = []
    left: list[int] = []
    with Listener() as listener, Sandbox(WARDENS) as sandbox:
        [alone] = processes(sandbox)  # of a warden that has run nothing yet
        bench = Compiler(sandbox)

        def judged(item: tuple[Task, str, str]) -> Verdict:
            task, name, kind = item
            limits = spoken(name).bounds(seconds=SECONDS.get(name, 0.6), memory=256)
            try:
                return code.by_output(bench, spoken(name), program(name, task, kind, listener.port), task.facts, limits)
            except SandboxError as e:
                return code.abstained(str(e))

        for _ in range(repeats):
            with ThreadPoolExecutor(WARDENS) as threads:
                verdicts = list(threads.map(judged, mine))
            row = {name: [0, 0] for name in (*LANGUAGES, NEW)}
            for (task, name, kind), verdict in zip(mine, verdicts, strict=True):
                right = str(verdict.outcome) == ("pass" if kind == "correct" else "fail")
                row[name][0] += right
                row[name][1] += 1
                if not right:
                    wrong.append([name, kind, task.prompt, str(verdict.outcome), verdict.evidence])
            rows.append(row)
            left.append(sum(count - alone for count in processes(sandbox)))
        reached = listener.reached
        socket.create_connection(("127.0.0.1", listener.port)).close()  # it does count
    return {"rows": rows, "wrong": wrong, "left": left, "reached": reached}
