/* Loaded before exfat-fuse, which insists on mounting a block device: an image file is mounted as plain FUSE instead,
 * without the option that only block devices have. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)
{
    int (*real)(const char *, const char *, const char *, unsigned long, const void *) = dlsym(RTLD_NEXT, "mount");
    char options[4096];
    snprintf(options, sizeof options, "%s", data ? (const char *)data : "");
    char *size = strstr(options, ",blksize=");
    if (size) {
        char *rest = strchr(size + 1, ',');
        memmove(size, rest ? rest : "", strlen(rest ? rest : "") + 1);
    }
    return real(source, target, strcmp(type, "fuseblk") == 0 ? "fuse" : type, flags, options);
}
