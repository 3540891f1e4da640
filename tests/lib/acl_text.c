/* acl_text.c -- access control lists as tests write them */
#include "acl_text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static unsigned tag_of(char letter, int is_named)
{
    switch (letter) {
    case 'u':
        return is_named ? 2 : 1;
    case 'g':
        return is_named ? 8 : 4;
    case 'm':
        return 16;
    case 'o':
        return 32;
    default:
        return 64; /* no tag */
    }
}

size_t acl_from_text(const char *text, uint8_t bytes[ACL_BYTES_MAX])
{
    static const uint8_t head[4] = {2, 0, 0, 0};
    size_t used = sizeof(head);
    memcpy(bytes, head, sizeof(head));
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        const char *colon = memchr(text, ':', length);
        uint32_t id = colon ? (uint32_t)strtoul(text + 1, NULL, 10) : UINT32_MAX;
        unsigned tag = tag_of(text[0], colon != NULL);
        const uint8_t entry[8] = {(uint8_t)tag,
                                  0,
                                  (uint8_t)strtoul(colon ? colon + 1 : text + 1, NULL, 10),
                                  0,
                                  (uint8_t)id,
                                  (uint8_t)(id >> 8),
                                  (uint8_t)(id >> 16),
                                  (uint8_t)(id >> 24)};
        assert(used + sizeof(entry) <= ACL_BYTES_MAX);
        memcpy(bytes + used, entry, sizeof(entry));
        used += sizeof(entry);
        text += length + (text[length] == ',');
    }
    return used;
}
