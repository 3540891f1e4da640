/* embed_bare.c -- what embed_test.c and the core need where there is no libc: mem*, str*, a start, and two
 * system calls to tell the result */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "embed.h"

#if defined(__x86_64__)
#define SYS_WRITE 1
#define SYS_EXIT  60
__asm__(".globl _start\n_start: xor %ebp, %ebp\n and $-16, %rsp\n call bare_main\n");

static long system_call(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
#define SYS_WRITE 64
#define SYS_EXIT  93
__asm__(".globl _start\n_start: mov x29, #0\n bl bare_main\n");

static long system_call(long number, long a, long b, long c)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
#else
#error "say how this machine makes a system call"
#endif

void *memcpy(void *restrict dst, const void *restrict src, size_t len_bytes)
{
    return memmove(dst, src, len_bytes);
}

void *memmove(void *dst, const void *src, size_t len_bytes)
{
    uint8_t *to = dst;
    const uint8_t *from = src;
    if ((uintptr_t)to < (uintptr_t)from)
        for (size_t at = 0; at < len_bytes; at++)
            to[at] = from[at];
    else
        for (size_t at = len_bytes; at-- > 0;)
            to[at] = from[at];
    return dst;
}

void *memset(void *dst, int byte, size_t len_bytes)
{
    uint8_t *to = dst;
    for (size_t at = 0; at < len_bytes; at++)
        to[at] = (uint8_t)byte;
    return dst;
}

int memcmp(const void *a, const void *b, size_t len_bytes)
{
    const uint8_t *left = a;
    const uint8_t *right = b;
    for (size_t at = 0; at < len_bytes; at++)
        if (left[at] != right[at])
            return left[at] < right[at] ? -1 : 1;
    return 0;
}

void *memchr(const void *bytes, int byte, size_t len_bytes)
{
    const uint8_t *from = bytes;
    for (size_t at = 0; at < len_bytes; at++)
        if (from[at] == (uint8_t)byte)
            return (void *)(uintptr_t)(from + at);
    return NULL;
}

size_t strnlen(const char *string, size_t len_max)
{
    size_t len_bytes = 0;
    while (len_bytes < len_max && string[len_bytes])
        len_bytes++;
    return len_bytes;
}

size_t strlen(const char *string)
{
    return strnlen(string, SIZE_MAX);
}

static void say(const char *line)
{
    system_call(SYS_WRITE, 1, (long)(uintptr_t)line, (long)strlen(line));
    system_call(SYS_WRITE, 1, (long)(uintptr_t) "\n", 1);
}

_Noreturn void bare_main(void);

_Noreturn void bare_main(void)
{
    say("1..3");
    int line = embed_test(say);
    if (line)
        say("not ok - see the exit code: the line of embed_test.c, modulo 251, plus 1");
    for (;;)
        system_call(SYS_EXIT, line ? line % 251 + 1 : 0, 0, 0);
}
