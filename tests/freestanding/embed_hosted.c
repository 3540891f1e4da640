/* embed_hosted.c -- embed_test.c as an ordinary program */
#include <stdio.h>

#include "embed.h"

static void say(const char *line)
{
    puts(line);
}

int main(void)
{
    puts("1..3");
    int line = embed_test(say);
    if (line)
        printf("not ok - embed_test.c:%d\n", line);
    return line != 0;
}
