/* See net_cls_handles.h. */
#include "isolators/net_cls_handles.h"

#include <errno.h>

#include "common/base/util.h"

/* Hexadecimal with 0x, as usual for handles, or decimal; at most 0xffff. */
static bool parse_handle(const char *text, size_t n, uint16_t *ret)
{
    bool hex = n > 2 && text[0] == '0' && (text[1] | 32) == 'x';
    uint32_t v = 0;

    for (size_t i = hex ? 2 : 0; i < n; i++) {
        char c = (char)(text[i] | 32);
        uint32_t digit = text[i] >= '0' && text[i] <= '9' ? (uint32_t)(text[i] - '0')
                         : hex && c >= 'a' && c <= 'f'    ? (uint32_t)(c - 'a' + 10)
                                                          : 16;
        if (digit == 16)
            return false;
        v = v * (hex ? 16 : 10) + digit;
        if (v > UINT16_MAX)
            return false;
    }
    *ret = (uint16_t)v;
    return n > 0;
}

static int parse_range(const char *text, struct net_cls_handles *h, struct fl_err *err)
{
    size_t n = strcspn(text, ",");

    if (!text[n] || !parse_handle(text, n, &h->first) ||
        !parse_handle(text + n + 1, strlen(text + n + 1), &h->last))
        return fl_err_set(err, FL_INVALID,
                          "Failed to parse the range of secondary handles '%s' set in flag "
                          "--cgroups_net_cls_secondary_handles; it is written 0xAAAA,0xBBBB",
                          text);
    if (h->first == 0)
        return fl_err_set(err, FL_INVALID, "The secondary handle has to be a non-zero value.");
    if (h->first > h->last)
        return fl_err_set(err, FL_INVALID,
                          "Secondary handle range specified '%s', in flag "
                          "--cgroups_net_cls_secondary_handles, is an empty set",
                          text);
    return 0;
}

int net_cls_handles_init(struct net_cls_handles *h, const char *primary, const char *secondary,
                         struct fl_err *err)
{
    memset(h, 0, sizeof(*h));
    h->first = 1;
    h->last = UINT16_MAX;
    if (!primary)
        return 0;
    h->given = true;
    if (!parse_handle(primary, strlen(primary), &h->primary))
        return fl_err_set(err, FL_INVALID,
                          "Failed to parse the primary handle '%s' set in flag "
                          "--cgroups_net_cls_primary_handle; it is written 0xAAAA",
                          primary);
    return secondary ? parse_range(secondary, h, err) : 0;
}

static uint64_t bit(uint32_t handle)
{
    return (uint64_t)1 << (handle % 64);
}

int net_cls_handles_take(struct net_cls_handles *h, uint32_t *ret_classid, struct fl_err *err)
{
    for (uint32_t i = h->first; i <= h->last; i++) {
        if (h->used[i / 64] == UINT64_MAX) {
            i |= 63;
            continue;
        }
        if (h->used[i / 64] & bit(i))
            continue;
        h->used[i / 64] |= bit(i);
        *ret_classid = (uint32_t)h->primary << 16 | i;
        return 0;
    }
    return fl_err_set(err, FL_LIMIT,
                      "No free handles remaining for primary handle 0x%x; give more by "
                      "--cgroups_net_cls_secondary_handles",
                      h->primary);
}

static bool ours(const struct net_cls_handles *h, uint32_t classid)
{
    uint32_t low = classid & 0xffff;

    return h->given && classid >> 16 == h->primary && low >= h->first && low <= h->last;
}

bool net_cls_handles_reserve(struct net_cls_handles *h, uint32_t classid)
{
    uint32_t low = classid & 0xffff;

    if (!ours(h, classid) || (h->used[low / 64] & bit(low)))
        return false;
    h->used[low / 64] |= bit(low);
    return true;
}

void net_cls_handles_give_back(struct net_cls_handles *h, uint32_t classid)
{
    uint32_t low = classid & 0xffff;

    if (ours(h, classid))
        h->used[low / 64] &= ~bit(low);
}
