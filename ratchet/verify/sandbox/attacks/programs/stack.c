/* Recurse until the stack ends, in C. */
static int down(volatile char *before) {
  volatile char here[4096];
  here[0] = *before + 1;
  return down(here) + here[0];
}
int main(void) { volatile char first = 0; printf("%d\n", down(&first)); }
