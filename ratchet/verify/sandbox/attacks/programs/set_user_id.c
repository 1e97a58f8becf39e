/* Gain rights by starting a program that has them. */
int main(void) {
  const char *programs[] = {"/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/usr/bin/chsh", "/usr/bin/newgrp", 0};
  for (int i = 0; programs[i]; i++) {
    int fd = open("copy", O_CREAT | O_RDWR | O_TRUNC, 0755);
    if (fd >= 0) close(fd);
    if (chmod("copy", 04755) == 0 && chown("copy", 0, 0) == 0) printf("ESCAPED: made a program of root\n");
    if (fork() == 0) {
      execl(programs[i], programs[i], "-c", "id -u", (char *)0);
      _exit(1);
    }
    wait(0);
  }
  printf("no new privileges: %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) printf("ESCAPED: privileges can be gained\n");
}
