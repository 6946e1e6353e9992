/* A file system that fails on purpose: gcc -shared -fPIC -O2 -o faultfs.so faultfs.c -ldl; LD_PRELOAD=./faultfs.so
 *
 * Counts the calls that change something under FAULT_PREFIX, over all processes of one victim, and at call FAULT_AT does
 * FAULT_KIND: kill (SIGKILL before the call), torn (half of a write, then SIGKILL), eio (this one call fails), enospc
 * (from here on nothing more fits). Every call is appended to FAULT_LOG when that is set. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static long calls = 0;

static int inside(const char *path) {
  const char *prefix = getenv("FAULT_PREFIX");
  return prefix && path && strncmp(path, prefix, strlen(prefix)) == 0;
}

static int name_of(int fd, char *out) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, out, PATH_MAX - 1);
  if (size < 0) return 0;
  out[size] = 0;
  return 1;
}

static int full_name(int fd, const char *path, char *out) {
  if (path[0] == '/') return snprintf(out, PATH_MAX, "%s", path) > 0;
  char base[PATH_MAX];
  if (fd == AT_FDCWD ? !getcwd(base, sizeof base) : !name_of(fd, base)) return 0;
  return snprintf(out, PATH_MAX, "%s/%s", base, path) > 0;
}

/* Returns 0 to go on, an errno to fail with, -1 to tear the write and die. `grows`: whether it needs room. */
static int meet(const char *what, const char *path, int grows) {
  if (!inside(path)) return 0;
  long number = __sync_add_and_fetch(&calls, 1);
  const char *kind = getenv("FAULT_KIND"), *at = getenv("FAULT_AT"), *log = getenv("FAULT_LOG");
  if (log) {
    char line[PATH_MAX + 64];
    int size = snprintf(line, sizeof line, "%ld %s %s\n", number, what, path);
    int fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (fd >= 0) {
      syscall(SYS_write, fd, line, size);
      syscall(SYS_close, fd);
    }
  }
  if (!kind || !at) return 0;
  long wanted = atol(at);
  if (!strcmp(kind, "enospc")) return number >= wanted && grows ? ENOSPC : 0;
  if (number != wanted) return 0;
  if (!strcmp(kind, "eio")) return EIO;
  if (!strcmp(kind, "torn") && !strcmp(what, "write")) return -1;
  kill(getpid(), SIGKILL);
  return 0;
}

static void die(void) { kill(getpid(), SIGKILL); }

#define REAL(name, ret, ...) \
  static ret (*real)(__VA_ARGS__); \
  if (!real) real = (ret(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)
#define FAIL(code) do { errno = (code); return -1; } while (0)

static int meet_open(int dir, const char *path, int flags) {
  char whole[PATH_MAX];
  if (!(flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR)) || !full_name(dir, path, whole)) return 0;
  return meet("open", whole, flags & O_CREAT);
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    REAL(name, int, const char *, int, ...); \
    va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \
    int fault = meet_open(AT_FDCWD, path, flags); \
    if (fault > 0) FAIL(fault); \
    return real(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
  int name(int dir, const char *path, int flags, ...) { \
    REAL(name, int, int, const char *, int, ...); \
    va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \
    int fault = meet_open(dir, path, flags); \
    if (fault > 0) FAIL(fault); \
    return real(dir, path, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *data, size_t size) {
  REAL(write, ssize_t, int, const void *, size_t);
  char path[PATH_MAX];
  int fault = name_of(fd, path) ? meet("write", path, 1) : 0;
  if (fault > 0) FAIL(fault);
  if (fault < 0) { real(fd, data, size / 2); die(); }
  return real(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev, ssize_t, int, const struct iovec *, int);
  char path[PATH_MAX];
  int fault = name_of(fd, path) ? meet("write", path, 1) : 0;
  if (fault > 0) FAIL(fault);
  if (fault < 0) { real(fd, parts, count > 1 ? count / 2 : 1); die(); }
  return real(fd, parts, count);
}

#define PWRITE(name, offset_t) \
  ssize_t name(int fd, const void *data, size_t size, offset_t offset) { \
    REAL(name, ssize_t, int, const void *, size_t, offset_t); \
    char path[PATH_MAX]; \
    int fault = name_of(fd, path) ? meet("write", path, 1) : 0; \
    if (fault > 0) FAIL(fault); \
    if (fault < 0) { real(fd, data, size / 2, offset); die(); } \
    return real(fd, data, size, offset); \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define ONE(name, what) \
  int name(const char *path) { \
    REAL(name, int, const char *); \
    char whole[PATH_MAX]; \
    int fault = full_name(AT_FDCWD, path, whole) ? meet(what, whole, 0) : 0; \
    if (fault > 0) FAIL(fault); \
    return real(path); \
  }
ONE(unlink, "unlink")
ONE(rmdir, "rmdir")

int unlinkat(int dir, const char *path, int flags) {
  REAL(unlinkat, int, int, const char *, int);
  char whole[PATH_MAX];
  int fault = full_name(dir, path, whole) ? meet("unlink", whole, 0) : 0;
  if (fault > 0) FAIL(fault);
  return real(dir, path, flags);
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir, int, const char *, mode_t);
  char whole[PATH_MAX];
  int fault = full_name(AT_FDCWD, path, whole) ? meet("mkdir", whole, 1) : 0;
  if (fault > 0) FAIL(fault);
  return real(path, mode);
}

int mkdirat(int dir, const char *path, mode_t mode) {
  REAL(mkdirat, int, int, const char *, mode_t);
  char whole[PATH_MAX];
  int fault = full_name(dir, path, whole) ? meet("mkdir", whole, 1) : 0;
  if (fault > 0) FAIL(fault);
  return real(dir, path, mode);
}

int rename(const char *from, const char *to) {
  REAL(rename, int, const char *, const char *);
  char whole[PATH_MAX];
  int fault = full_name(AT_FDCWD, to, whole) ? meet("rename", whole, 0) : 0;
  if (fault > 0) FAIL(fault);
  return real(from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
  REAL(renameat, int, int, const char *, int, const char *);
  char whole[PATH_MAX];
  int fault = full_name(to_dir, to, whole) ? meet("rename", whole, 0) : 0;
  if (fault > 0) FAIL(fault);
  return real(from_dir, from, to_dir, to);
}

#define SYNC(name) \
  int name(int fd) { \
    REAL(name, int, int); \
    char path[PATH_MAX]; \
    int fault = name_of(fd, path) ? meet("sync", path, 0) : 0; \
    if (fault > 0) FAIL(fault); \
    return real(fd); \
  }
SYNC(fsync)
SYNC(fdatasync)

int ftruncate(int fd, off_t size) {
  REAL(ftruncate, int, int, off_t);
  char path[PATH_MAX];
  int fault = name_of(fd, path) ? meet("truncate", path, 0) : 0;
  if (fault > 0) FAIL(fault);
  return real(fd, size);
}
