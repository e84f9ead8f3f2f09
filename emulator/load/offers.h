/* What a framework does with offers. See load.h. */
#ifndef EMULATOR_LOAD_OFFERS_H
#define EMULATOR_LOAD_OFFERS_H

#include "emulator/load/load.h"

void load_offers(struct load_framework *f, V1__Offer *const *offers, size_t n);
void load_offer_rescinded(struct load_framework *f, const char *offer_id);
void load_held_drop(struct load_framework *f); /* without a word to the master */
/* Something is to be launched now: on offers that are held, or new ones are asked for. `arrived`: it is a new job. */
void load_want(struct load_framework *f, bool arrived);

enum { LOAD_TASK_ID = 32 };
void load_task_id(char *out, size_t index, uint32_t attempt);
/* False: none of ours. */
bool load_task_id_parse(struct load_bytes id, size_t *ret_index, uint32_t *ret_attempt);

#endif
