/* Fuzzes what decides who somebody is and what he may do: tokens (signed and not), files of credentials, access rules. The first byte
 * says which. */
#include <stdint.h>

#include "common/base/http_auth.h"
#include "common/model/acls.h"

static void check_token(const char *text)
{
    static const char key[] = "a key";
    struct http_principal *p = NULL;
    struct http_claim claim = {(char *)"sub", (char *)text};
    struct fl_err err = {0};

    if (http_token_check(text, key, 1e9, &p, &err) == 0)
        http_principal_free(TAKE_PTR(p));
    else
        assert(err.reason == FL_UNAUTHENTICATED && err.msg[0]);
    /* What we sign ourselves says what was signed, or nothing when the text is not UTF-8. */
    _cleanup_free_ char *own = http_token_make(&claim, 1, key);
    if (http_token_check(own, key, 1e9, &p, &err) == 0) {
        assert(streq(http_principal_claim(p, "sub"), text));
        http_principal_free(p);
    }
}

static void check_credentials(const char *text)
{
    struct http_credentials *c = NULL;
    struct fl_err err = {0};

    if (http_credentials_parse(text, &c, &err) < 0) {
        assert(!c && err.msg[0]);
        return;
    }
    assert(!http_credentials_fit(c, "", ""));
    (void)http_credentials_fit(c, "op", text);
    http_credentials_free(c);
}

static void check_acls(const char *text)
{
    struct acls *a = NULL;
    struct fl_err err = {0};

    if (acls_parse(text, &a, &err) < 0) {
        assert(!a && err.msg[0]);
        return;
    }
    for (int i = 0; i < ACL_N_ACTIONS; i++) {
        const char *const objects[] = {NULL, "eng", "eng/web", ""};
        struct acl_approver *ap = acl_approver_get(a, (enum acl_action)i, "op");
        for (size_t k = 0; k < ARRAY_SIZE(objects); k++)
            assert(acl_approves(ap, objects[k]) ==
                   acls_allow(a, (enum acl_action)i, "op", objects[k]));
        acl_approver_free(ap);
    }
    acls_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    _cleanup_free_ char *text = xstrndup((const char *)data + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        check_token(text);
        break;
    case 1:
        check_credentials(text);
        break;
    default:
        check_acls(text);
    }
    return 0;
}
