/* guest_writer.c -- a load that may be killed, moved or stopped at any moment
 *
 * guest_writer REGION ACKS [--seconds S] [--ahead N]
 *
 * Four threads change names, attributes and data in a region, without end or for S seconds. ACKS is
 * memory that outlives the guest, a struct kill_told of tests/kill/told.h, zero but for the seed in its first 8
 * bytes: in a guest /sys/bus/pci/devices/0000:00:10.0/resource2 of the QEMU options
 *     -object memory-backend-file,id=acks,share=on,mem-path=FILE,size=1M
 *     -device ivshmem-plain,memdev=acks,addr=0x10
 * (after `echo 1 > enable` beside it; no driver is needed), and FILE on the host. Its third 8 bytes are the
 * number of rounds begun: the load runs once they have grown. guest_judge then compares REGION with FILE;
 * the next writer goes on with both. --ahead counts N operations too many, which the judge must see.
 * Prints one line before it opens the region. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "writer.h"

static void __attribute__((noreturn)) print_usage(void)
{
    fprintf(stderr, "usage: guest_writer REGION ACKS [--seconds S] [--ahead N]\n");
    exit(2);
}

static uint64_t parse_number(const char *text)
{
    uint64_t number;
    if (!number_read(text, &number))
        print_usage();
    return number;
}

int main(int argc, char **argv)
{
    struct kill_writer_options options = {.seconds = 0};
    if (argc < 3 || argc % 2 == 0)
        print_usage();
    for (int i = 3; i < argc; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0)
            options.seconds = parse_number(argv[i + 1]);
        else if (strcmp(argv[i], "--ahead") == 0)
            options.ahead = parse_number(argv[i + 1]);
        else
            print_usage();
    }
    struct kill_told *told = kill_told_map(argv[2]);
    if (told == NULL) {
        perror(argv[2]);
        return 1;
    }
    printf("guest_writer: opens %s\n", argv[1]);
    fflush(stdout);
    int status = kill_write(told, argv[1], &options);
    if (status != 0)
        printf("guest_writer: %s\n", told->failure);
    return status;
}
