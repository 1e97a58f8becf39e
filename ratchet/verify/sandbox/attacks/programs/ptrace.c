/* Look into and write to other processes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static void attempt(long result, const char *what) {
  if (result >= 0) printf("ESCAPED: %s\n", what);
  else printf("%s: %s\n", what, strerror(errno));
  fflush(stdout);
}

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
