/* Read shared memory and semaphores of the machine. */
int main(void) {
  char key[64], value[4096];
  int id = -1;
  while (scanf("%63s %4095[^\n]", key, value) == 2)
    if (!strcmp(key, "shared")) id = atoi(value);
  for (int i = -1; i < 64; i++) {
    char *at = shmat(i < 0 ? id : i, 0, SHM_RDONLY);
    if (at != (void *)-1) printf("ESCAPED: shared memory %d holds %.40s\n", i, at);
  }
  attempt(shmget(0x7261, 0, 0), "found the segment by its key");
}
