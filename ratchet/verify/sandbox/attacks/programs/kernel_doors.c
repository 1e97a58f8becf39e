/* Use parts of the kernel that have been ways out. */
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
  char zeros[256] = {0};
  attempt(syscall(425, 8, zeros), "io_uring");
  attempt(syscall(SYS_bpf, 0, zeros, sizeof zeros), "bpf");
  attempt(syscall(SYS_perf_event_open, zeros, 0, -1, -1, 0), "perf_event_open");
  attempt(syscall(SYS_userfaultfd, 0), "userfaultfd");
  attempt(syscall(SYS_fanotify_init, 0, 0), "fanotify");
  attempt(syscall(SYS_init_module, zeros, 0, ""), "init_module");
  attempt(syscall(SYS_kexec_load, 0, 0, 0, 0), "kexec");
  attempt(syscall(SYS_syslog, 3, zeros, sizeof zeros), "kernel log");
  attempt(syscall(SYS_quotactl, 0, 0, 0, 0), "quotactl");
  attempt(syscall(SYS_acct, 0), "acct");
  attempt(syscall(SYS_kcmp, 1, 1, 0, 0, 0), "kcmp");
  attempt(syscall(SYS_personality, 0x0040000), "personality");
  attempt(syscall(SYS_swapoff, "/x"), "swapoff");
}
