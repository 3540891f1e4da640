/* acl_text.h -- access control lists as tests write them
 *
 * Entries with commas between them: a letter (u, g, m or o), for a user or a group its id and a colon, and a digit
 * with the permissions. "u7,u1000:5,g5,m7,o1" is what setfacl calls u::rwx,u:1000:r-x,g::r-x,m::rwx,o::--x. Nothing
 * is checked, so that wrong lists can be written as well. */
#ifndef TESTS_ACL_TEXT_H
#define TESTS_ACL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define ACL_ACCESS    "system.posix_acl_access"
#define ACL_DEFAULT   "system.posix_acl_default"
#define ACL_BYTES_MAX 4096

/* The value of the attribute; returns its size. */
size_t acl_from_text(const char *text, uint8_t bytes[ACL_BYTES_MAX]);

#endif
