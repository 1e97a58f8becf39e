/* Take all the memory of the machine as shared memory, which limits of a process do not count. */
int main(void) {
  for (int i = 0; i < 64; i++) {
    size_t size = 64ul << 20;
    char *at = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return 1;
    for (size_t j = 0; j < size; j += 4096) at[j] = 1;
    if (i > 32) { printf("ESCAPED: got 2 GB\n"); fflush(stdout); }
  }
  sleep(60);
}
