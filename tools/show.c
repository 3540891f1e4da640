/* show.c -- attributes as a person reads them */
#include "show.h"
#include "host.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const struct {
    uint32_t type;
    char letter;
    const char *text;
} types[] = {
    {VMFS_S_IFREG, '-', "regular file"},  {VMFS_S_IFDIR, 'd', "directory"},
    {VMFS_S_IFLNK, 'l', "symbolic link"}, {VMFS_S_IFCHR, 'c', "character device"},
    {VMFS_S_IFBLK, 'b', "block device"},  {VMFS_S_IFIFO, 'p', "fifo"},
    {VMFS_S_IFSOCK, 's', "socket"},       {0, '?', "unknown"},
};

static size_t type_index(uint32_t mode)
{
    size_t i = 0;

    while (types[i].type != 0 && types[i].type != (mode & VMFS_S_IFMT))
        i++;
    return i;
}

const char *type_show(uint32_t mode)
{
    return types[type_index(mode)].text;
}

static char special_letter(char plain, bool is_special, char letter)
{
    if (!is_special)
        return plain;
    return plain == 'x' ? letter : (char)(letter - 'a' + 'A');
}

void mode_show(uint32_t mode, char text[MODE_TEXT_BYTES])
{
    unsigned i;

    text[0] = types[type_index(mode)].letter;
    for (i = 0; i < 9; i++)
        text[i + 1] = mode & (0400u >> i) ? "rwx"[i % 3] : '-';
    text[3] = special_letter(text[3], mode & 04000, 's');
    text[6] = special_letter(text[6], mode & 02000, 's');
    text[9] = special_letter(text[9], mode & 01000, 't');
    text[10] = '\0';
}

void time_show(int64_t time_ns, bool is_full, char text[TIME_TEXT_BYTES])
{
    struct timespec time = host_timespec(time_ns);
    struct tm parts;
    char zone[8];
    size_t length;

    localtime_r(&time.tv_sec, &parts);
    if (!is_full) {
        strftime(text, TIME_TEXT_BYTES, "%Y-%m-%d %H:%M", &parts);
        return;
    }
    length = strftime(text, TIME_TEXT_BYTES, "%Y-%m-%d %H:%M:%S", &parts);
    strftime(zone, sizeof(zone), "%z", &parts);
    snprintf(text + length, TIME_TEXT_BYTES - length, ".%09ld %s", time.tv_nsec, zone);
}

void name_show(const char *name)
{
    static int is_terminal = -1;

    if (is_terminal < 0)
        is_terminal = isatty(STDOUT_FILENO);
    if (!is_terminal) {
        fputs(name, stdout);
        return;
    }
    for (; *name; name++)
        putchar((unsigned char)*name < ' ' || *name == 0x7f ? '?' : *name);
}

int target_show(struct vmfs *fs, const char *path)
{
    char target[VMFS_PATH_MAX + 1];
    int64_t length = vmfs_readlink(fs, path, target, sizeof(target) - 1);

    if (length < 0)
        return (int)length;
    target[length] = '\0';
    name_show(target);
    return 0;
}
