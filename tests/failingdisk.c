/* A disk that fails: loaded before the C library, it lets no file below FAILING_DIRECTORY be written to for as long as
   the file FAILING_WHILE exists, and stores none for as long as the same file with "-sync" exists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd, const char *suffix)
{
    const char *directory = getenv("FAILING_DIRECTORY"), *control = getenv("FAILING_WHILE");
    char link[64], path[PATH_MAX + 1] = "", sign[PATH_MAX + 1];
    if (!directory || !control)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    snprintf(sign, sizeof sign, "%s%s", control, suffix);
    if (readlink(link, path, PATH_MAX) < 0 || strncmp(path, directory, strlen(directory)) || access(sign, F_OK))
        return 0;
    errno = EIO;
    return 1;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    return fails(fd, "") ? -1 : real(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}

int fdatasync(int fd)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    return fails(fd, "-sync") ? -1 : real(fd);
}
