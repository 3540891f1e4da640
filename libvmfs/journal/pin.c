/* pin.c -- pins of the watermark */
#include "journal/pin.h"

int vm_pins_init(struct vm_ctx *ctx, struct vm_journal *journal)
{
    void *memory;
    int result = vm_alloc(ctx, VM_PINS * sizeof *journal->pins, &memory);
    journal->pins = memory;
    return result;
}

void vm_pins_fini(struct vm_journal *journal)
{
    const struct vm_platform *platform = journal->region->platform;
    if (journal->pins)
        platform->free(platform->arg, journal->pins, VM_PINS * sizeof *journal->pins);
    journal->pins = NULL;
}

static bool try_pin(struct vm_pin *pin, uint64_t bound)
{
    uint64_t none = 0;
    return atomic_load_explicit(&pin->bound, memory_order_relaxed) == 0 &&
           VM_OWN(atomic_compare_exchange_strong(&pin->bound, &none, bound));
}

uint32_t vm_pin_take(struct vm_ctx *ctx)
{
    struct vm_journal *journal = ctx->journal;
    const struct vm_platform *platform = journal->region->platform;
    /* W may rise behind this: then the pin only says less than it could. */
    uint64_t bound = atomic_load_explicit(&journal->watermark, memory_order_acquire) + 1;
    uint32_t index = ctx->lane_hint % VM_PINS;
    for (uint32_t probe = 0; !try_pin(&journal->pins[index], bound); probe++) {
        index = (index + 1) % VM_PINS;
        if (probe % VM_PINS == VM_PINS - 1)
            platform->yield(platform->arg);
    }
    vm_barrier(); /* H23: before the maps are read */
    return index;
}

void vm_pin_drop(struct vm_journal *journal, uint32_t pin)
{
    VM_OWN(atomic_store_explicit(&journal->pins[pin].bound, 0, memory_order_release));
}

uint64_t vm_pins_limit(const struct vm_journal *journal, uint64_t limit)
{
    vm_barrier(); /* H23: behind the marks */
    for (uint32_t index = 0; index < VM_PINS; index++) {
        uint64_t bound = atomic_load(&journal->pins[index].bound);
        if (bound && bound - 1 < limit)
            limit = bound - 1; /* H23 */
    }
    return limit;
}
