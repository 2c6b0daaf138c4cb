/* A disk that blocks: loaded before the C library, it lets no file below BLOCKED_DIRECTORY be opened or written to
   at a place, nor directory there be made or listed, for as long as the file BLOCKED_WHILE exists. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void wait_for(const char *path)
{
    const char *directory = getenv("BLOCKED_DIRECTORY"), *control = getenv("BLOCKED_WHILE");
    if (!directory || !control || strncmp(path, directory, strlen(directory)))
        return;
    while (access(control, F_OK) == 0)
        usleep(10000);
}

static void wait_for_file(int fd)
{
    char link[64], path[PATH_MAX + 1];
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, PATH_MAX);
    if (length < 0)
        return;
    path[length] = 0;
    wait_for(path);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    wait_for_file(fd);
    return real(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}

int open64(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    va_list more;
    mode_t mode;
    va_start(more, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    wait_for(path);
    return real(path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
    int (*real)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir");
    wait_for(path);
    return real(path, mode);
}

DIR *opendir(const char *path)
{
    DIR *(*real)(const char *) = dlsym(RTLD_NEXT, "opendir");
    wait_for(path);
    return real(path);
}
