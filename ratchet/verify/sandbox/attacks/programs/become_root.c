/* Become another user, or take capabilities. */
int main(void) {
  attempt(setuid(0), "setuid 0");
  attempt(setresuid(0, 0, 0), "setresuid 0");
  attempt(setgid(0), "setgid 0");
  gid_t groups[1] = {0};
  attempt(syscall(SYS_setgroups, 1, groups), "setgroups");
  unsigned header[2] = {0x20080522, 0}, all[6] = {~0u, ~0u, ~0u, ~0u, ~0u, ~0u};
  attempt(syscall(SYS_capset, header, all), "capset");
  attempt(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0), "ambient capability");
  struct stat s;
  if (geteuid() == 0) printf("ESCAPED: this is root\n");
}
