/* A disk that fails: loaded before the C library, it lets no file below FAILING_DIRECTORY be written to for as long as
   the file FAILING_WHILE exists. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    const char *directory = getenv("FAILING_DIRECTORY"), *control = getenv("FAILING_WHILE");
    char link[64], path[PATH_MAX + 1] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, PATH_MAX) < 0 || !directory || !control || strncmp(path, directory, strlen(directory))
        || access(control, F_OK))
        return real(fd, data, size, offset);
    errno = EIO;
    return -1;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}
