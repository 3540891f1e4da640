/* callers.c -- frame pointers now, libdw later */
#include "callers.h"

#include <elfutils/libdwfl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Frames lie upwards and not far apart; what does not is no frame pointer. */
#define FRAME_BYTES_MAX ((uintptr_t)1 << 18)

struct frame {
    const struct frame *up;
    const void *caller;
};

void callers_find(const void **callers, unsigned room)
{
    const struct frame *frame = __builtin_frame_address(0);
    for (unsigned index = 0; index < room; index++)
        callers[index] = NULL;
    for (unsigned index = 0; index < room; index++) {
        callers[index] = frame->caller;
        uintptr_t step = (uintptr_t)frame->up - (uintptr_t)frame;
        if (step == 0 || step > FRAME_BYTES_MAX || (uintptr_t)frame->up % sizeof(void *))
            return;
        frame = frame->up;
    }
}

static Dwfl *open_self(void)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_linux_proc_find_elf,
                                             .find_debuginfo = dwfl_standard_find_debuginfo};
    Dwfl *self = dwfl_begin(&callbacks);
    if (self && dwfl_linux_proc_report(self, getpid()) == 0 &&
        dwfl_report_end(self, NULL, NULL) == 0)
        return self;
    if (self)
        dwfl_end(self);
    return NULL;
}

/* Without what leads from the build folder, or from the working directory, to the source. */
static const char *shorten(const char *path)
{
    char here[4096];
    size_t length = getcwd(here, sizeof here) ? strlen(here) : 0;
    if (length && strncmp(path, here, length) == 0 && path[length] == '/')
        return path + length + 1;
    while (strncmp(path, "../", 3) == 0)
        path += 3;
    return path;
}

void callers_text(const void *caller, char *text, size_t room)
{
    Dwfl *self = open_self();
    Dwarf_Addr address = (Dwarf_Addr)(uintptr_t)caller - 1; /* inside of the call */
    Dwfl_Line *line = self ? dwfl_getsrc(self, address) : NULL;
    int number = 0;
    const char *path = line ? dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL) : NULL;
    if (path) {
        snprintf(text, room, "%s:%d", shorten(path), number);
    } else {
        Dwfl_Module *module = self ? dwfl_addrmodule(self, address) : NULL;
        const char *name = module ? dwfl_module_addrname(module, address) : NULL;
        snprintf(text, room, "%s", name ? name : "?");
    }
    if (self)
        dwfl_end(self);
}
