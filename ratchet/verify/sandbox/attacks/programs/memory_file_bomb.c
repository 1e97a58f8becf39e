/* Take all the memory of the machine in files that live in memory alone. */
int main(void) {
  static char part[1 << 20];
  memset(part, 1, sizeof part);
  for (int i = 0; i < 4096; i++) {
    int fd = memfd_create("x", 0);
    for (int j = 0; j < 32; j++)
      if (write(fd, part, sizeof part) != sizeof part) return 1;
    if (i > 64) { printf("ESCAPED: got 2 GB\n"); fflush(stdout); }
  }
}
