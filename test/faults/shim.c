/*
 * A disk that hangs or fails: an LD_PRELOAD library for a real server. It interposes the calls that Node makes on everything
 * below FAULT_DIR, and reads what to do from the numbers in the file FAULT_CTL, which file-servers.ts writes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SYNC_MS, WRITE, SYNC, TRUNCATE, RENAME, OPEN, UNLINK, SHORT, BIND, ERROR, RUNNING, MOST_RUNNING, FAILED, FIELDS };

static volatile int *control;
static const char *dir;
static __thread unsigned seed;

__attribute__((constructor)) static void start(void) {
  static int nothing[FIELDS];
  const char *path = getenv("FAULT_CTL");
  int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
  int fd = path ? real_open(path, O_RDWR) : -1;
  dir = getenv("FAULT_DIR");
  control = fd < 0 ? nothing : mmap(0, sizeof nothing, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static int is_below(const char *path) { return dir && strncmp(path, dir, strlen(dir)) == 0; }

static int is_ours(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return is_below(path);
}

/* Counts the calls that run at the same time. */
static void enter(void) {
  int running = __sync_add_and_fetch(&control[RUNNING], 1);
  if (running > control[MOST_RUNNING]) control[MOST_RUNNING] = running;
}

static long leave(long result) {
  int error = errno;
  __sync_sub_and_fetch(&control[RUNNING], 1);
  errno = error;
  return result;
}

/* Draws whether a call fails, with control[which] chances in a thousand. A sync may hang before. */
static int fails(int which) {
  for (int waited = 0; which == SYNC && waited < control[SYNC_MS]; waited += 10) usleep(10000);
  if (!control[which]) return 0;
  if (!seed) seed = (unsigned)getpid() ^ (unsigned)(size_t)&seed;
  if ((int)(rand_r(&seed) % 1000) >= control[which]) return 0;
  __sync_add_and_fetch(&control[FAILED], 1);
  errno = control[ERROR] ? control[ERROR] : EIO;
  return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define AROUND(is_concerned, which, call) \
  if (!(is_concerned)) return call; \
  enter(); \
  return leave(fails(which) ? -1 : call)

int fdatasync(int fd) { AROUND(is_ours(fd), SYNC, REAL(fdatasync)(fd)); }
int fsync(int fd) { AROUND(is_ours(fd), SYNC, REAL(fsync)(fd)); }
static size_t shortened(int fd, size_t size) { return size > 1 && is_ours(fd) && fails(SHORT) ? 1 + size / 2 : size; }
ssize_t write(int fd, const void *bytes, size_t size) {
  AROUND(is_ours(fd), WRITE, REAL(write)(fd, bytes, shortened(fd, size)));
}
int ftruncate64(int fd, off64_t size) { AROUND(is_ours(fd), TRUNCATE, REAL(ftruncate64)(fd, size)); }
int rename(const char *from, const char *to) { AROUND(is_below(to), RENAME, REAL(rename)(from, to)); }
int unlink(const char *path) { AROUND(is_below(path), UNLINK, REAL(unlink)(path)); }

/* Sockets in the file system, of any path. */
int bind(int fd, const struct sockaddr *address, socklen_t size) {
  AROUND(address->sa_family == AF_UNIX, BIND, REAL(bind)(fd, address, size));
}

int open64(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  int mode = va_arg(arguments, int);
  va_end(arguments);
  AROUND(is_below(path), OPEN, REAL(open64)(path, flags, mode));
}
