/* Use parts of the kernel that have been ways out. */
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
