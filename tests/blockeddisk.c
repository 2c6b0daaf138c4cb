/* A disk that blocks: loaded before the C library, it lets no write to a file below BLOCKED_DIRECTORY, and no
   list of that directory, through for as long as the file BLOCKED_WHILE exists. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void wait_for_disk(int fd)
{
    const char *directory = getenv("BLOCKED_DIRECTORY"), *control = getenv("BLOCKED_WHILE");
    char link[64], path[PATH_MAX + 1];
    ssize_t length;
    if (!directory || !control)
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, PATH_MAX);
    if (length < 0)
        return;
    path[length] = 0;
    if (strncmp(path, directory, strlen(directory)))
        return;
    while (access(control, F_OK) == 0)
        usleep(10000);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    wait_for_disk(fd);
    return real(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}

DIR *opendir(const char *name)
{
    DIR *(*real)(const char *) = dlsym(RTLD_NEXT, "opendir");
    const char *directory = getenv("BLOCKED_DIRECTORY"), *control = getenv("BLOCKED_WHILE");
    while (directory && control && !strcmp(name, directory) && access(control, F_OK) == 0)
        usleep(10000);
    return real(name);
}
