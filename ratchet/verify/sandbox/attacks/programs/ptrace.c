/* Look into and write to other processes. */
int main(void) {
  char buffer[64];
  struct { void *base; size_t length; } here = {buffer, 64}, there = {(void *)0x400000, 64};
  for (int pid = 1; pid < 40; pid++) {
    if (pid == getpid()) continue;
    errno = 0;
    attempt(ptrace(PTRACE_ATTACH, pid, 0, 0), "attached to a process");
    attempt(syscall(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0), "read the memory of a process");
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    attempt(open(path, O_RDWR), "opened the memory of a process");
  }
  attempt(ptrace(PTRACE_TRACEME, 0, 0, 0), "ptrace at all");
}
