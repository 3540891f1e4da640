/* assert.h -- what xxhash.h asks for: checks at compile time */
#ifndef VM_FREESTANDING_ASSERT_H
#define VM_FREESTANDING_ASSERT_H

#define static_assert _Static_assert

#endif
