/* Leave the root by chroot, by an open folder, by a file handle. */
int main(void) {
  mkdir("cell", 0755);
  int out = open("/", O_RDONLY | O_DIRECTORY);
  attempt(chroot("cell"), "chroot");
  if (fchdir(out) == 0 && chroot(".") == 0) printf("ESCAPED: chroot out\n");
  struct { struct file_handle head; unsigned char body[128]; } handle = {{128, 1}};
  int mount_id;
  attempt(name_to_handle_at(AT_FDCWD, "/usr", &handle.head, &mount_id, 0), "name_to_handle_at");
  handle.head.handle_bytes = 8;
  unsigned char root[8] = {2};
  memcpy(handle.head.f_handle, root, 8);
  int usr = open("/usr", O_RDONLY);
  attempt(open_by_handle_at(usr, &handle.head, O_RDONLY), "opened the root of the disk by its handle");
}
